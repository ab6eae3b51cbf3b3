-- Ordered by vt, which an index holds: cost follows the batch, however many messages wait or are delayed.
-- Equal in effect to msg_id order but for retries, which take their turn when they fall due. The array keeps
-- the planner from reading the whole table to join it with a large batch.
-- A count at its end stays there, for an overflow would fail the claim of all; the worker buries the message.
-- ``since`` steps over what died before it, which no vacuum can remove while anyone holds an old snapshot.
-- Its commit does not wait for the disk: a claim that a crash of the server undoes has no handler to wait for
-- either, or one whose ack is refused as that of a lost lease.
WITH due AS (
    SELECT msg_id, vt
    FROM {queue}
    WHERE vt >= %(since)s AND vt <= statement_timestamp()
    ORDER BY vt
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE {queue} AS held
SET {touch} read_ct = held.read_ct + (held.read_ct < 2147483647)::int,
    headers = {claimed},
    vt = clock_timestamp() + %(lease)s * interval '1 second'
FROM (SELECT set_config('synchronous_commit', 'off', true)) AS hurried
WHERE held.msg_id = ANY (ARRAY(SELECT msg_id FROM due))
RETURNING held.msg_id, held.read_ct, {texts}, (SELECT max(vt)::text FROM due)
