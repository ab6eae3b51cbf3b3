-- Sizes of tables; the size of a partitioned table is the sum of its partitions. Rows are the last estimate,
-- -1 without one.
SELECT namespace.nspname::text AS schema,
       class.relname::text AS name,
       coalesce(
           CASE WHEN class.relkind = 'p' THEN leaves.rows END,
           class.reltuples::bigint
       ) AS rows,
       coalesce(
           CASE WHEN class.relkind = 'p' THEN leaves.bytes END,
           pg_catalog.pg_total_relation_size(class.oid),
           0
       ) AS bytes,
       leaves.count AS partitions
FROM pg_catalog.pg_class AS class
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
CROSS JOIN LATERAL (
    SELECT count(*) AS count,
           CASE WHEN min(leaf.reltuples) >= 0 THEN sum(leaf.reltuples)::bigint ELSE -1 END AS rows,
           sum(pg_catalog.pg_total_relation_size(leaf.oid))::bigint AS bytes
    FROM pg_catalog.pg_partition_tree(class.oid) AS tree
    JOIN pg_catalog.pg_class AS leaf ON leaf.oid = tree.relid
    WHERE tree.isleaf AND class.relkind = 'p' AND leaf.oid <> class.oid
) AS leaves
WHERE class.relkind IN ('r', 'p')
    AND class.relpersistence <> 't'
    AND namespace.nspname NOT IN ('information_schema', 'pgmq', 'pgmq_public', 'changelane')
    AND namespace.nspname !~ '^pg_'
ORDER BY namespace.nspname COLLATE "C", class.relname COLLATE "C"
