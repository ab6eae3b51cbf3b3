WITH chosen AS (
    SELECT msg_id FROM {queue} WHERE msg_id = ANY (%(ids)s) ORDER BY msg_id FOR UPDATE
)
DELETE FROM {queue} AS letter
USING chosen
WHERE letter.msg_id = chosen.msg_id
RETURNING letter.msg_id
