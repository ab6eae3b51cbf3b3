-- Every queue with its statistics, summed over its partitions; no queue's table is read. The partition tree
-- of a plain table is empty.
SELECT coalesce(meta.queue_name, substr(class.relname, 3))::text AS name,
       class.relname::text AS table,
       CASE WHEN class.relkind = 'p' THEN 'partitioned'
            WHEN class.relpersistence = 'u' THEN 'unlogged'
            ELSE 'logged'
       END AS kind,
       meta.created_at,
       has_table_privilege(class.oid, 'SELECT') AS readable,
       archive.relname::text AS archive,
       coalesce(has_table_privilege(archive.oid, 'SELECT'), false) AS archive_readable,
       numbers.estimate,
       numbers.inserted,
       numbers.deleted,
       kept.estimate AS archived,
       kept.inserted AS archive_inserted
FROM pg_catalog.pg_class AS class
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace AND namespace.nspname = 'pgmq'
LEFT JOIN {meta} AS meta ON 'q_' || lower(meta.queue_name) = class.relname
LEFT JOIN pg_catalog.pg_class AS archive
    ON archive.relnamespace = class.relnamespace
    AND archive.relname = 'a_' || substr(class.relname, 3)
CROSS JOIN LATERAL (
    SELECT greatest(
               coalesce(sum(pg_catalog.pg_stat_get_live_tuples(leaf.oid)), 0),
               -- After a crash the statistics are empty until the table is analyzed.
               CASE WHEN coalesce(sum(pg_catalog.pg_stat_get_tuples_inserted(leaf.oid)), 0) = 0
                    THEN coalesce(sum(leaf.reltuples), 0) ELSE 0 END
           )::bigint AS estimate,
           coalesce(sum(pg_catalog.pg_stat_get_tuples_inserted(leaf.oid)), 0)::bigint AS inserted,
           coalesce(sum(pg_catalog.pg_stat_get_tuples_deleted(leaf.oid)), 0)::bigint AS deleted
    FROM pg_catalog.pg_class AS leaf
    WHERE leaf.relkind = 'r'
        AND leaf.oid IN (SELECT class.oid UNION SELECT relid FROM pg_catalog.pg_partition_tree(class.oid))
) AS numbers
CROSS JOIN LATERAL (
    SELECT greatest(coalesce(sum(pg_catalog.pg_stat_get_live_tuples(leaf.oid)), 0), 0)::bigint AS estimate,
           coalesce(sum(pg_catalog.pg_stat_get_tuples_inserted(leaf.oid)), 0)::bigint AS inserted
    FROM pg_catalog.pg_class AS leaf
    WHERE leaf.relkind = 'r'
        AND leaf.oid IN (SELECT archive.oid UNION SELECT relid FROM pg_catalog.pg_partition_tree(archive.oid))
) AS kept
WHERE class.relkind IN ('r', 'p')
    AND NOT class.relispartition
    AND (meta.queue_name IS NOT NULL OR (NOT {known} AND class.relname LIKE 'q\_%%'))
ORDER BY 1
