-- With row_security off, a policy that hides rows raises an error, rather than leaving them out in silence. The
-- position in the archive is read back as it was printed.
SELECT pg_catalog.set_config('lock_timeout', '1s', true), pg_catalog.set_config('row_security', 'off', true),
    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
    pg_catalog.set_config('TimeZone', 'UTC', true), pg_catalog.set_config('DateStyle', 'ISO', true)
