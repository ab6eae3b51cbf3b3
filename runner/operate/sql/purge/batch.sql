-- Each batch starts after the last one, so it does not scan the rows just deleted.
WITH chosen AS (
    SELECT msg_id FROM {queue} WHERE msg_id > %(after)s AND msg_id <= %(last)s ORDER BY msg_id LIMIT %(batch)s
), deleted AS (
    DELETE FROM {queue} WHERE msg_id = ANY (ARRAY(SELECT msg_id FROM chosen)) RETURNING msg_id
)
SELECT (SELECT count(*) FROM deleted), (SELECT max(msg_id) FROM chosen)
