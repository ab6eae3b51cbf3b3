SELECT meta.queue_name::text AS queue,
       class.relname LIKE 'a\_%' AS archive,
       pg_get_userbyid(class.relowner)::text AS owner,
       class.relrowsecurity AS row_security,
       class.relforcerowsecurity AS forced,
       -- The trigger of pgmq's enable_notify_insert writes a table of pgmq with the sender's rights.
       EXISTS (
           SELECT FROM pg_trigger WHERE tgrelid = class.oid AND tgname = 'trigger_notify_queue_insert_listeners'
       ) AS notifies
FROM pgmq.meta
JOIN pg_class AS class ON class.relname IN ('q_' || lower(meta.queue_name), 'a_' || lower(meta.queue_name))
WHERE class.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq')
ORDER BY class.relname
