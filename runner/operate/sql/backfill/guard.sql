-- With row_security off, a policy that hides rows raises an error, rather than leaving them out in silence.
-- The search_path is that of the capture function.
SELECT pg_catalog.set_config('lock_timeout', %s, true), pg_catalog.set_config('row_security', 'off', true),
    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)
