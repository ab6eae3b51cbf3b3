-- The settings end with this transaction, because a pooler gives the session to others.
SELECT pg_catalog.set_config('statement_timeout', %(timeout)s::int::text, true),
       pg_catalog.set_config('lock_timeout', %(lock_timeout)s::int::text, true)
