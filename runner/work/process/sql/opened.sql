SELECT coalesce(has_schema_privilege(schema.oid, 'USAGE'), false)
    AND coalesce(has_column_privilege(pauses.oid, 'queue', 'SELECT'), false)
    AND (
        SELECT count(*) = 2 FROM pg_catalog.pg_proc
        WHERE pronamespace = schema.oid AND proname IN ('doze', 'rouse') AND has_function_privilege(oid, 'EXECUTE')
    )
FROM (VALUES (1)) AS one
LEFT JOIN pg_catalog.pg_namespace AS schema ON schema.nspname = 'changelane'
LEFT JOIN pg_catalog.pg_class AS pauses ON pauses.relnamespace = schema.oid AND pauses.relname = 'pauses'
