-- The order of locks keeps two redrives at once from a deadlock and from the same letter. Sending keeps the
-- order, too.
WITH chosen AS (
    SELECT msg_id FROM {queue} WHERE msg_id = ANY (%(ids)s) ORDER BY msg_id FOR UPDATE
), moved AS (
    DELETE FROM {queue} AS letter
    USING chosen
    WHERE letter.msg_id = chosen.msg_id
    RETURNING letter.msg_id, letter.message, letter.headers
)
SELECT msg_id, pgmq.send(%(source)s::text, message, headers)
FROM (
    SELECT
        msg_id,
        message,
        CASE jsonb_typeof(headers)
            WHEN 'object' THEN headers - 'dead_letter' - 'changelane' ELSE headers
        END AS headers
    FROM moved
    ORDER BY msg_id
) AS ordered
