WITH gone AS (
    DELETE FROM pgmq.q_bench
    WHERE msg_id = ANY (ARRAY(
        SELECT msg_id FROM pgmq.q_bench WHERE vt <= clock_timestamp() ORDER BY vt LIMIT %s FOR UPDATE SKIP LOCKED
    ))
    RETURNING msg_id, read_ct, enqueued_at, vt, message, headers
)
INSERT INTO pgmq.a_bench (msg_id, read_ct, enqueued_at, vt, message, headers)
SELECT msg_id, read_ct, enqueued_at, vt, message, headers FROM gone
RETURNING msg_id, message
