-- The wanted rights that the role lacks (`public`: PUBLIC); missing objects do not count as lacking. Looks up
-- by oid, because a role may not look up a name in a schema that it may not use.
WITH wanted AS (
    SELECT *
    FROM unnest(%(schemas)s::text[], %(relations)s::text[], %(privileges)s::text[], %(columns)s::text[])
        AS wanted (schema, relation, privilege, "column")
)
SELECT nspname::text, '' AS relation, 'USAGE' AS privilege, '' AS "column"
FROM pg_namespace
WHERE nspname IN (SELECT schema FROM wanted) AND NOT has_schema_privilege(%(role)s, oid, 'USAGE')
UNION ALL
SELECT wanted.schema, wanted.relation, wanted.privilege, wanted.column
FROM wanted
JOIN pg_namespace ON nspname = wanted.schema
JOIN pg_class ON relnamespace = pg_namespace.oid AND relname = wanted.relation
LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attname = wanted.column AND NOT attisdropped
WHERE wanted.privilege <> 'EXECUTE' AND CASE
    WHEN wanted.column = '' THEN NOT has_table_privilege(%(role)s, pg_class.oid, wanted.privilege)
    ELSE attnum IS NOT NULL AND NOT has_column_privilege(%(role)s, pg_class.oid, attnum, wanted.privilege)
END
UNION ALL
SELECT wanted.schema, pg_proc.oid::regprocedure::text, 'EXECUTE', ''
FROM wanted
JOIN pg_namespace ON nspname = wanted.schema
JOIN pg_proc ON pronamespace = pg_namespace.oid AND proname = wanted.relation
WHERE wanted.privilege = 'EXECUTE' AND NOT has_function_privilege(%(role)s, pg_proc.oid, 'EXECUTE')
UNION ALL
-- If msg_id has a plain default, the sender needs its sequence.
SELECT DISTINCT wanted.schema, sequence.relname::text, 'USAGE', ''
FROM wanted
JOIN pg_namespace ON nspname = wanted.schema
JOIN pg_class ON pg_class.relnamespace = pg_namespace.oid AND pg_class.relname = wanted.relation
JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'msg_id' AND attidentity = ''
JOIN pg_attrdef ON adrelid = pg_class.oid AND adnum = attnum
JOIN pg_depend ON classid = 'pg_attrdef'::regclass AND objid = pg_attrdef.oid AND refclassid = 'pg_class'::regclass
JOIN pg_class AS sequence ON sequence.oid = refobjid
WHERE wanted.privilege = 'INSERT' AND wanted.relation LIKE 'q\_%%'
    AND CASE WHEN sequence.relkind = 'S' THEN NOT has_sequence_privilege(%(role)s, sequence.oid, 'USAGE') END
