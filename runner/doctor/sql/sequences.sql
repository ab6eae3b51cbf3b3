-- For each queue: the sequence of its ids, its last value, and the largest id in the queue if the role may
-- read it.
SELECT name, format('%%s', sequence) AS sequence, coalesce(pg_sequence_last_value(sequence), 0) AS last
FROM unnest(%s::text[]) AS name
CROSS JOIN LATERAL (
    SELECT pg_get_serial_sequence(format('pgmq.%%I', 'q_' || lower(name)), 'msg_id')::regclass AS sequence
) AS found
WHERE has_sequence_privilege(sequence, 'USAGE') OR has_sequence_privilege(sequence, 'SELECT')
