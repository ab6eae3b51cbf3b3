-- For a partitioned table: the count of its partitions without the default one, and the name of the default
-- one.
SELECT coalesce(array_agg(class.relname::text ORDER BY class.relname) FILTER (WHERE class.oid <> parent.partdefid), '{{}}'),
       max(class.relname::text) FILTER (WHERE class.oid = parent.partdefid)
FROM pg_catalog.pg_partitioned_table AS parent
LEFT JOIN pg_catalog.pg_inherits AS child ON child.inhparent = parent.partrelid
LEFT JOIN pg_catalog.pg_class AS class ON class.oid = child.inhrelid
WHERE parent.partrelid = to_regclass({table})
