-- Ordered by vt, which an index holds: cost follows the batch, however many messages wait or are delayed.
-- Equal in effect to msg_id order but for retries, which take their turn when they fall due. The array keeps
-- the planner from reading the whole table to join it with a large batch.
WITH due AS (
    SELECT msg_id
    FROM {queue}
    WHERE vt <= statement_timestamp()
    ORDER BY vt
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE {queue} AS held
SET {touch} read_ct = held.read_ct + 1,
    vt = clock_timestamp() + %(lease)s * interval '1 second'
WHERE held.msg_id = ANY (ARRAY(SELECT msg_id FROM due))
RETURNING held.msg_id, held.read_ct, held.message::text, held.headers::text
