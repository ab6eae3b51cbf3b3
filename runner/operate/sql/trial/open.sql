-- These limits protect other sessions: the transaction ends by itself, and waits for no lock long.
SELECT pg_catalog.set_config('statement_timeout', %(timeout)s || 'ms', true),
       pg_catalog.set_config('lock_timeout', %(lock_timeout)s || 'ms', true),
       pg_catalog.set_config('idle_in_transaction_session_timeout', '60s', true)
