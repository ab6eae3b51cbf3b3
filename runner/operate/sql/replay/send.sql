-- The messages keep no notes on earlier attempts, so they have all attempts again.
WITH chosen AS (
    SELECT
        message,
        CASE jsonb_typeof(headers)
            WHEN 'object' THEN headers - 'changelane' ELSE '{{}}'::jsonb
        END || jsonb_build_object('replayed_from', msg_id) AS headers,
        msg_id
    FROM {archive}
    WHERE msg_id = ANY (%(ids)s)
)
SELECT count(sent)
FROM (
    SELECT array_agg(message ORDER BY msg_id) AS messages, array_agg(headers ORDER BY msg_id) AS headers
    FROM chosen
    HAVING count(*) > 0
) AS batch
CROSS JOIN LATERAL pgmq.send_batch(%(queue)s::text, batch.messages, batch.headers, clock_timestamp()) AS sent
