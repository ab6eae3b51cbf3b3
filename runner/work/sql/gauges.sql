-- By the index of msg_id alone, whatever the depth; counts stop at the cap.
SELECT
    {name},
    (SELECT count(*) FROM (SELECT FROM {queue} LIMIT {cap}) AS capped),
    coalesce(extract(epoch FROM clock_timestamp() - (SELECT enqueued_at FROM {queue} ORDER BY msg_id LIMIT 1)), 0)::float8,
    (SELECT count(*) FROM (SELECT FROM {letters} LIMIT {cap}) AS capped),
    (
        SELECT coalesce(sum(pg_stat_get_dead_tuples(relid)), 0)::float8
        -- A table that is not partitioned is in no tree.
        FROM (SELECT {table}::regclass AS relid UNION SELECT relid FROM pg_partition_tree({table}::regclass)) AS part
    )
