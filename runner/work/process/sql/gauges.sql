-- The indexes on msg_id and vt bound the cost, whatever the depth; counts stop at the cap. The oldest message
-- that is due or claimed is sought in three places: those due the longest, those due next and those sent
-- first.
SELECT
    {name},
    (SELECT count(*) FROM (SELECT FROM {queue} LIMIT {cap}) AS capped),
    (SELECT coalesce(greatest(extract(epoch FROM clock_timestamp() - min(enqueued_at)), 0), 0)::float8
     FROM (
        (SELECT enqueued_at, read_ct, vt, headers FROM {queue} WHERE vt <= statement_timestamp() ORDER BY vt LIMIT {look})
        UNION ALL
        (SELECT enqueued_at, read_ct, vt, headers FROM {queue} WHERE vt > statement_timestamp() ORDER BY vt LIMIT {look})
        UNION ALL
        (SELECT enqueued_at, read_ct, vt, headers FROM {queue} ORDER BY msg_id LIMIT {look})
     ) AS first
     WHERE isfinite(enqueued_at) AND {state} IN ('available', 'leased')),
    (SELECT count(*) FROM (
        SELECT {state} AS state FROM {queue} WHERE vt > statement_timestamp() ORDER BY vt LIMIT {cap}
     ) AS waiting WHERE state = 'delayed'),
    (SELECT count(*) FROM (
        SELECT {state} AS state FROM {queue} WHERE vt > statement_timestamp() ORDER BY vt DESC LIMIT {cap}
     ) AS waiting WHERE state = 'blocked'),
    (SELECT count(*) FROM ({returning}) AS back),
    (SELECT count(*) FROM (SELECT FROM {letters} LIMIT {letters_cap}) AS capped),
    (
        SELECT coalesce(sum(pg_stat_get_dead_tuples(relid)), 0)::float8
        -- pg_partition_tree has no row for a table that is not partitioned.
        FROM (SELECT {table}::regclass AS relid UNION SELECT relid FROM pg_partition_tree({table}::regclass)) AS part
    )
