-- Rows that are being settled this moment are locked and skipped: they are ours still, so they are reported
-- with the rest. What is not reported has another holder, or is gone.
WITH mine AS (
    SELECT msg_id, read_ct FROM unnest(%(msg_ids)s::bigint[], %(read_cts)s::integer[]) AS pair (msg_id, read_ct)
), free AS (
    SELECT held.msg_id
    FROM {queue} AS held
    JOIN mine ON held.msg_id = mine.msg_id AND held.read_ct = mine.read_ct
    ORDER BY held.msg_id
    -- A claim in the order of keys locks a predecessor against removal, which must not keep it from renewal.
    FOR NO KEY UPDATE OF held SKIP LOCKED
), renewed AS (
    UPDATE {queue} AS held
    SET vt = clock_timestamp() + %(lease)s * interval '1 second'
    FROM free
    WHERE held.msg_id = free.msg_id
)
SELECT held.msg_id
FROM {queue} AS held
JOIN mine ON held.msg_id = mine.msg_id AND held.read_ct = mine.read_ct
