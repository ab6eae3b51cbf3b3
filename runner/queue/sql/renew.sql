-- A row that is just being settled is locked, so it is skipped. It is still ours and is returned with the
-- rest. An id that is not returned belongs to another worker now, or is gone.
WITH mine AS (
    SELECT msg_id, read_ct FROM unnest(%(msg_ids)s::bigint[], %(read_cts)s::integer[]) AS pair (msg_id, read_ct)
), free AS (
    SELECT held.msg_id
    FROM {queue} AS held
    JOIN mine ON held.msg_id = mine.msg_id AND held.read_ct = mine.read_ct
    ORDER BY held.msg_id
    -- NO KEY: a claim in key order locks the row before it against removal; renewal must not wait for that.
    FOR NO KEY UPDATE OF held SKIP LOCKED
), renewed AS (
    UPDATE {queue} AS held
    SET vt = statement_timestamp() + %(lease)s * interval '1 second'
    FROM free
    WHERE held.msg_id = free.msg_id
)
SELECT held.msg_id
FROM {queue} AS held
JOIN mine ON held.msg_id = mine.msg_id AND held.read_ct = mine.read_ct
