WITH gone AS (
    DELETE FROM pgmq.q_bench AS held
    USING unnest(%s::bigint[], %s::integer[]) AS mine (msg_id, read_ct)
    WHERE held.msg_id = mine.msg_id AND held.read_ct = mine.read_ct
    RETURNING held.msg_id, held.read_ct, enqueued_at, vt, message, headers
)
INSERT INTO pgmq.a_bench (msg_id, read_ct, enqueued_at, vt, message, headers)
SELECT msg_id, read_ct, enqueued_at, vt, message, headers FROM gone
