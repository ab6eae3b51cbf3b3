-- For this transaction only, which a pooler passes on.
SELECT pg_catalog.set_config('statement_timeout', %(timeout)s::int::text, true),
       pg_catalog.set_config('lock_timeout', %(lock_timeout)s::int::text, true)
