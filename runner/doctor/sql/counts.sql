-- Queues that hold many messages, by the statistics. The partition tree of a plain table is empty.
SELECT meta.queue_name::text AS name,
    sum(pg_stat_get_tuples_inserted(leaf.oid))::bigint AS inserted,
    sum(pg_stat_get_tuples_deleted(leaf.oid))::bigint AS deleted
FROM pgmq.meta
JOIN pg_class AS class ON class.relname = 'q_' || lower(meta.queue_name)
JOIN pg_class AS leaf
    ON leaf.relkind = 'r'
    AND leaf.oid IN (SELECT class.oid UNION SELECT relid FROM pg_partition_tree(class.oid))
WHERE class.relnamespace = to_regnamespace('pgmq')
    AND class.relkind IN ('r', 'p')
    AND NOT class.relispartition
GROUP BY meta.queue_name
HAVING sum(pg_stat_get_live_tuples(leaf.oid)) > %(much)s
