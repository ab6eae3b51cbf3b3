SELECT coalesce(has_schema_privilege(schema.oid, 'USAGE'), false)
    AND coalesce(has_table_privilege(sleepers.oid, 'INSERT') AND has_table_privilege(sleepers.oid, 'UPDATE'), false)
    AND coalesce(has_table_privilege(pauses.oid, 'SELECT'), false)
FROM (VALUES (1)) AS one
LEFT JOIN pg_catalog.pg_namespace AS schema ON schema.nspname = 'changelane'
LEFT JOIN pg_catalog.pg_class AS sleepers ON sleepers.relnamespace = schema.oid AND sleepers.relname = 'sleepers'
LEFT JOIN pg_catalog.pg_class AS pauses ON pauses.relnamespace = schema.oid AND pauses.relname = 'pauses'
