-- DEFAULT partitions of queues and archives that the role may read.
SELECT coalesce(meta.queue_name, substr(parent.relname, 3))::text AS queue, namespace.nspname::text AS schema, class.relname::text AS table
FROM pg_class AS class
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
JOIN pg_inherits AS tie ON tie.inhrelid = class.oid
JOIN pg_class AS parent ON parent.oid = tie.inhparent AND parent.relnamespace = to_regnamespace('pgmq')
LEFT JOIN pgmq.meta ON lower(meta.queue_name) = substr(parent.relname, 3)
WHERE class.relispartition
    AND parent.relname ~ '^[qa]_'
    AND pg_get_expr(class.relpartbound, class.oid) = 'DEFAULT'
    AND has_table_privilege(class.oid, 'SELECT')
ORDER BY parent.relname
