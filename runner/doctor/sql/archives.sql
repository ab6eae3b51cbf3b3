SELECT substr(relname, 3)
FROM pg_class
WHERE relnamespace = to_regnamespace('pgmq') AND relkind = 'r' AND NOT relispartition
    AND relname = ANY (SELECT 'a_' || name FROM unnest(%s::text[]) AS name)
    AND has_table_privilege(oid, 'SELECT')
