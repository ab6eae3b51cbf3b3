-- Without row_security, rows that a policy hides are an error, and not left out in silence.
-- Names mean what they mean to the capture function.
SELECT pg_catalog.set_config('lock_timeout', %s, true), pg_catalog.set_config('row_security', 'off', true),
    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)
