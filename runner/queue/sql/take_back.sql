-- Claims messages by lease whose taking was rolled back just before, unless another worker was faster.
WITH free AS (
    SELECT msg_id FROM {queue}
    WHERE msg_id = ANY (%(msg_ids)s::bigint[]) AND read_ct = 0
    ORDER BY msg_id
    FOR UPDATE %(locked)s
)
UPDATE {queue} AS held
SET {touch} read_ct = 1, vt = clock_timestamp() + %(lease)s * interval '1 second'
WHERE held.msg_id = ANY (ARRAY(SELECT msg_id FROM free))
RETURNING held.msg_id
