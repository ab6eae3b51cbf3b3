SELECT class.relname, array_agg(attribute.attname::text ORDER BY attribute.attnum), class.relkind = 'p'
FROM pg_catalog.pg_class AS class
JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = class.oid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE namespace.nspname = 'pgmq'
    AND class.relkind IN ('r', 'p')
    AND class.relname = ANY (%(tables)s)
    AND attribute.attnum > 0
    AND NOT attribute.attisdropped
GROUP BY class.relname, class.relkind
