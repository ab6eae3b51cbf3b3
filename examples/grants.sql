-- The owner runs this after each `apply`: the rights of the worker on every queue. Safe to run again.
GRANT USAGE ON SCHEMA pgmq, changelane TO shop_worker;
GRANT SELECT ON pgmq.meta TO shop_worker;
SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON pgmq.%I, pgmq.%I TO shop_worker',
           'q_' || lower(queue_name), 'a_' || lower(queue_name))
FROM pgmq.meta
ORDER BY queue_name \gexec
-- Message ids of dead letters, and of messages sent back to its queue.
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA pgmq TO shop_worker;
