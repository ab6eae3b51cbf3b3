DELETE FROM pgmq.q_bench
WHERE msg_id = ANY (ARRAY(
    SELECT msg_id FROM pgmq.q_bench WHERE vt <= clock_timestamp() ORDER BY vt LIMIT %s FOR UPDATE SKIP LOCKED
))
RETURNING msg_id, read_ct, message
