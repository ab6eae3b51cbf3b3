-- The index on vt gives the order, so the cost follows the batch, however many messages wait or are delayed.
-- The result equals msg_id order, except for retries, which take their turn when they fall due. The array keeps
-- the planner from reading the whole table to join it with a large batch. A count at its maximum stays there:
-- an overflow would fail the whole claim. The worker buries the message. "since" skips dead rows before it,
-- which vacuum cannot remove while anyone holds an old snapshot. The commit does not wait for the disk. If a
-- server crash undoes the claim, no handler has begun, or the server refuses the handler's ack as that of a
-- lost lease.
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
RETURNING held.msg_id, held.read_ct, {texts}, (SELECT max(vt)::text FROM due),
    (SELECT {waits} FROM due)
