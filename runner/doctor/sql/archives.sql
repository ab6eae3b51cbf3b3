SELECT name
FROM unnest(%s::text[]) AS name
JOIN pg_class ON relname = 'a_' || lower(name)
WHERE relnamespace = to_regnamespace('pgmq') AND relkind = 'r' AND NOT relispartition
    AND has_table_privilege(oid, 'SELECT')
