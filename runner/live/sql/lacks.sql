-- Of the rights wanted, those that the role lacks; what is not there at all is not lacked. By oid and not by name, for of
-- a schema that it may not use a role may not even ask.
WITH wanted AS (
    SELECT *
    FROM unnest(%(schemas)s::text[], %(relations)s::text[], %(privileges)s::text[], %(columns)s::text[])
        AS wanted (schema, relation, privilege, "column")
)
SELECT nspname::text, '' AS relation, 'USAGE' AS privilege, '' AS "column"
FROM pg_namespace
WHERE nspname IN (SELECT schema FROM wanted) AND NOT has_schema_privilege(oid, 'USAGE')
UNION ALL
SELECT wanted.schema, wanted.relation, wanted.privilege, wanted.column
FROM wanted
JOIN pg_namespace ON nspname = wanted.schema
JOIN pg_class ON relnamespace = pg_namespace.oid AND relname = wanted.relation
LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attname = wanted.column AND NOT attisdropped
WHERE wanted.privilege <> 'EXECUTE' AND CASE
    WHEN wanted.column = '' THEN NOT has_table_privilege(pg_class.oid, wanted.privilege)
    ELSE attnum IS NOT NULL AND NOT has_column_privilege(pg_class.oid, attnum, wanted.privilege)
END
UNION ALL
SELECT wanted.schema, pg_proc.oid::regprocedure::text, 'EXECUTE', ''
FROM wanted
JOIN pg_namespace ON nspname = wanted.schema
JOIN pg_proc ON pronamespace = pg_namespace.oid AND proname = wanted.relation
WHERE wanted.privilege = 'EXECUTE' AND NOT has_function_privilege(pg_proc.oid, 'EXECUTE')
