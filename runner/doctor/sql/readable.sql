SELECT name
FROM unnest(%s::text[]) AS name
JOIN pg_class AS class ON class.relname = 'q_' || lower(name) AND class.relnamespace = to_regnamespace('pgmq')
WHERE has_table_privilege(class.oid, 'SELECT') AND has_schema_privilege(class.relnamespace, 'USAGE')
