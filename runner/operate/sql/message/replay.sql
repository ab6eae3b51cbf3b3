-- The message keeps no notes on earlier attempts, so it has all attempts again. A copy of a message that the queue
-- still holds is left alone: a role with the right to archive can insert one.
SELECT pgmq.send(
    %(queue)s::text,
    message,
    CASE jsonb_typeof(headers) WHEN 'object' THEN headers - 'changelane' ELSE '{{}}'::jsonb END
        || jsonb_build_object('replayed_from', msg_id)
)
FROM (
    SELECT archived.msg_id, archived.message, archived.headers
    FROM {archive} AS archived
    WHERE archived.msg_id = %(id)s AND archived.read_ct = %(deliveries)s AND NOT EXISTS (
        SELECT FROM {queue} AS held
        WHERE held.msg_id = archived.msg_id AND held.enqueued_at = archived.enqueued_at
    )
    ORDER BY archived.archived_at DESC
    LIMIT 1
) AS chosen
