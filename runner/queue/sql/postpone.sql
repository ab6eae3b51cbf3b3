-- A retry, a release and a charge are one: the lease and the notes change together, or neither does.
UPDATE {queue} AS held
SET vt = CASE
        WHEN mine.delay > 0 THEN clock_timestamp() + mine.delay * interval '1 second'
        -- Given back, it takes its old place, not one behind all that wait.
        ELSE least(held.enqueued_at, clock_timestamp())
    END,
    headers = CASE jsonb_typeof(held.headers) WHEN 'object' THEN held.headers ELSE '{{}}'::jsonb END
        || jsonb_build_object('changelane', mine.notes)
FROM unnest(%(msg_ids)s::bigint[], %(read_cts)s::integer[], %(delays)s::float8[], %(notes)s::jsonb[])
    AS mine (msg_id, read_ct, delay, notes)
WHERE held.msg_id = mine.msg_id AND held.read_ct = mine.read_ct
RETURNING held.msg_id
