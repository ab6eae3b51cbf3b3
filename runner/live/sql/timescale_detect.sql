-- Whether the catalog of TimescaleDB exists and this role may read it.
SELECT count(*) = 2
FROM pg_catalog.pg_class AS class
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE namespace.nspname = '_timescaledb_catalog'
    AND class.relname IN ('hypertable', 'chunk')
    AND pg_catalog.has_schema_privilege(namespace.oid, 'USAGE')
    AND pg_catalog.has_table_privilege(class.oid, 'SELECT')
