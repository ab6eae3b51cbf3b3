-- As take.sql, for the transaction of a handler: the messages are locked, and the ack at its end deletes them. So a
-- handler that commits by itself loses no message.
WITH due AS (
    SELECT msg_id, vt, read_ct, {returned}
    FROM {queue} AS held
    WHERE vt >= %(since)s AND vt <= statement_timestamp()
    ORDER BY vt
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
SELECT msg_id, {texts} FROM due WHERE (SELECT bool_and(read_ct = 0 AND vt > %(mark)s) FROM due)
UNION ALL
SELECT NULL, max(vt)::text, {waits}{none} FROM due HAVING count(*) > 0
