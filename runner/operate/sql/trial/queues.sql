-- The last msg_id of each queue; messages of this transaction have larger ones.
SELECT meta.queue_name::text AS name,
       class.relname::text AS table,
       coalesce(
           pg_catalog.pg_sequence_last_value(
               pg_catalog.pg_get_serial_sequence(pg_catalog.format('pgmq.%I', class.relname), 'msg_id')::regclass
           ),
           0
       ) AS last
FROM pgmq.meta
JOIN pg_catalog.pg_class AS class
    ON class.relname = 'q_' || lower(meta.queue_name)
    AND class.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'pgmq')
ORDER BY meta.queue_name
