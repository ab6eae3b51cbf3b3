-- Tables of queues and archives, with the sum over partitions. The partition tree of a plain table is empty.
SELECT class.relname::text AS name,
    coalesce(sum(pg_stat_get_live_tuples(leaf.oid)), 0)::bigint AS live,
    coalesce(sum(pg_stat_get_dead_tuples(leaf.oid)), 0)::bigint AS dead,
    coalesce(sum(pg_relation_size(leaf.oid)), 0)::bigint AS size,
    coalesce(sum(pg_indexes_size(leaf.oid)), 0)::bigint AS indexes,
    coalesce(bool_and(NOT coalesce(leaf.reloptions && ARRAY['autovacuum_enabled=false', 'autovacuum_enabled=off'], false)),
        true) AS enabled,
    extract(epoch FROM clock_timestamp() - max(greatest(
        pg_stat_get_last_vacuum_time(leaf.oid), pg_stat_get_last_autovacuum_time(leaf.oid)
    )))::float8 AS vacuumed
FROM pg_class AS class
JOIN pg_class AS leaf
    ON leaf.relkind = 'r'
    AND leaf.oid IN (SELECT class.oid UNION SELECT relid FROM pg_partition_tree(class.oid))
WHERE class.relnamespace = to_regnamespace('pgmq') AND class.relname = ANY (%(names)s)
GROUP BY class.relname
ORDER BY class.relname
