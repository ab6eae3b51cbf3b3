-- A role may not look up a table by name in a schema that it may not use.
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace AS schema ON schema.oid = class.relnamespace
    WHERE schema.nspname = 'changelane' AND class.relname = 'schedules'
        AND has_schema_privilege(schema.oid, 'USAGE') AND has_column_privilege(class.oid, 'body', 'SELECT')
)
