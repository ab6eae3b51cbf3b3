SELECT meta.queue_name::text AS name,
       CASE WHEN meta.is_partitioned THEN 'partitioned'
            -- ALTER TABLE ... SET UNLOGGED by hand shows here only.
            WHEN class.relpersistence = 'u' THEN 'unlogged'
            WHEN class.relpersistence = 'p' THEN 'logged'
            WHEN meta.is_unlogged THEN 'unlogged'
            ELSE 'logged'
       END AS kind,
       class.oid IS NOT NULL AS has_table,
       EXISTS (
           SELECT FROM pg_class AS archive
           WHERE archive.relname = 'a_' || lower(meta.queue_name)
               AND archive.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq')
       ) AS has_archive,
       (
           SELECT coalesce(jsonb_object_agg(attname, format_type(atttypid, atttypmod)), '{}')
           FROM pg_attribute
           WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped
       ) AS columns,
       ARRAY(
           SELECT attname::text FROM pg_attribute
           WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped
               AND attnotnull AND NOT atthasdef AND attidentity = ''
           ORDER BY attnum
       ) AS demands,
       -- Of the order of keys.
       (
           SELECT CASE WHEN place.indisvalid THEN pg_get_indexdef(place.indexrelid) ELSE 'invalid' END
           FROM pg_index AS place
           JOIN pg_class AS named ON named.oid = place.indexrelid
           WHERE place.indrelid = class.oid AND named.relname = class.relname || '_key_idx'
       ) AS key_index,
       -- Sending returns the message's number, which takes SELECT.
       coalesce(has_table_privilege(class.oid, 'INSERT') AND has_table_privilege(class.oid, 'SELECT'), false)
           AS inserts,
       coalesce(pg_has_role(class.relowner, 'USAGE'), false) AS owned,
       obj_description(class.oid, 'pg_class') AS comment
FROM pgmq.meta
LEFT JOIN pg_class AS class
    ON class.relname = 'q_' || lower(meta.queue_name)
    AND class.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq')
ORDER BY meta.queue_name
