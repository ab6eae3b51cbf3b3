-- The notes on attempts are dropped, so that a redriven message starts afresh.
WITH moved AS (
    DELETE FROM {queue}
    WHERE msg_id = %(msg_id)s AND read_ct = %(read_ct)s
    RETURNING message, headers
)
SELECT pgmq.send(
    %(dead_letter)s::text,
    message,
    CASE jsonb_typeof(headers) WHEN 'object' THEN headers - 'changelane' ELSE '{{}}'::jsonb END
        || jsonb_build_object('dead_letter',
            %(notes)s::jsonb || jsonb_build_object('failed_at', clock_timestamp()))
)
FROM moved
