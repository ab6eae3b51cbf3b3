SELECT class.relname::text, substring(pg_get_indexdef(class.oid) FROM ' USING (.*)')
FROM pg_catalog.pg_index AS place
JOIN pg_catalog.pg_class AS class ON class.oid = place.indexrelid
WHERE class.relnamespace = to_regnamespace('pgmq') AND place.indisvalid AND class.relname = ANY (%(names)s)
