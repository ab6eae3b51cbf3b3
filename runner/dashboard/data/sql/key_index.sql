SELECT FROM pg_catalog.pg_index AS place
JOIN pg_catalog.pg_class AS relation ON relation.oid = place.indrelid
JOIN pg_catalog.pg_class AS class ON class.oid = place.indexrelid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE namespace.nspname = 'pgmq'
    AND place.indisvalid
    AND class.relname = relation.relname || '_key_idx'
    AND relation.relname = ANY (%(tables)s)
