lead AS (
    SELECT taken.key, ARRAY[claimed.msg_id] AS msg_ids, ARRAY[claimed.read_ct] AS read_cts, NULL::text[] AS ids,
        NULL::text[] AS notes, false AS void, NULL::text AS message, NULL::text AS headers,
        enqueued_at::text AS enqueued_at
    FROM claimed
    JOIN taken ON taken.msg_id = claimed.msg_id
)
