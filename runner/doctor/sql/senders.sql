-- The rights that an owner of a capture's function lacks to send to a queue, one row each.
SELECT wanted.owner,
       wanted.queue,
       array_remove(ARRAY[
           CASE WHEN NOT has_schema_privilege(role.oid, namespace.oid, 'USAGE') THEN 'USAGE ON SCHEMA pgmq' END,
           CASE WHEN NOT has_any_column_privilege(role.oid, class.oid, 'INSERT')
               OR NOT has_column_privilege(role.oid, class.oid, 'msg_id', 'SELECT')
               THEN format('INSERT, SELECT ON pgmq.%%I', class.relname) END,
           (
               SELECT format('EXECUTE ON FUNCTION %%s', proc.oid::regprocedure)
               FROM pg_proc AS proc
               WHERE proc.pronamespace = namespace.oid
                   AND proc.proname IN ('send', 'send_batch')
                   AND 'headers' = ANY (proc.proargnames)
                   AND NOT has_function_privilege(role.oid, proc.oid, 'EXECUTE')
               ORDER BY proc.oid::regprocedure::text
               LIMIT 1
           )
       ], NULL) AS lacks
FROM (
    SELECT DISTINCT owner, queue
    FROM unnest(%(owners)s::text[], %(queues)s::text[]) AS given(owner, queue)
) AS wanted
JOIN pg_roles AS role ON role.rolname = wanted.owner
JOIN pg_namespace AS namespace ON namespace.nspname = 'pgmq'
JOIN pg_class AS class ON class.relnamespace = namespace.oid AND class.relname = 'q_' || lower(wanted.queue)
ORDER BY wanted.owner, wanted.queue
