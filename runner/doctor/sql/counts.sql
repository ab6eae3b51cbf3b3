-- Queues that hold many messages, by the statistics. The partition tree of a plain table is empty.
SELECT substr(class.relname, 3) AS name,
    sum(pg_stat_get_tuples_inserted(leaf.oid))::bigint AS inserted,
    sum(pg_stat_get_tuples_deleted(leaf.oid))::bigint AS deleted
FROM pg_class AS class
JOIN pg_class AS leaf
    ON leaf.relkind = 'r'
    AND leaf.oid IN (SELECT class.oid UNION SELECT relid FROM pg_partition_tree(class.oid))
WHERE class.relnamespace = to_regnamespace('pgmq')
    AND class.relname LIKE 'q\_%%'
    AND class.relkind IN ('r', 'p')
    AND NOT class.relispartition
GROUP BY class.relname
HAVING sum(pg_stat_get_live_tuples(leaf.oid)) > %(much)s
