
-- The notes on attempts are dropped, so that a redriven message starts afresh.
SELECT pgmq.send(
    %(dead_letter)s::text,
    message,
    CASE jsonb_typeof(headers) WHEN 'object' THEN headers - 'changelane' ELSE '{{}}'::jsonb END
        || jsonb_build_object('dead_letter',
            %(notes)s::jsonb || jsonb_build_object('msg_id', msg_id, 'failed_at', statement_timestamp()))
)
FROM (SELECT msg_id, message, headers FROM gone ORDER BY msg_id) AS letter
