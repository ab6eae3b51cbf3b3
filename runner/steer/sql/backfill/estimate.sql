SELECT sum(greatest(class.reltuples, 0))::bigint
FROM pg_catalog.pg_partition_tree(%(table)s::regclass) AS part
JOIN pg_catalog.pg_class AS class ON class.oid = part.relid
WHERE part.isleaf
