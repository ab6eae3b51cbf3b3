-- The partition tree of a plain table is empty.
SELECT sum(greatest(reltuples, 0))::bigint
FROM pg_catalog.pg_class
WHERE relkind = 'r' AND oid IN (
    SELECT %(table)s::regclass
    UNION
    SELECT relid FROM pg_catalog.pg_partition_tree(%(table)s::regclass)
)
