-- One statement serves retry, release and charge, so that lease and notes change together or not at all.
-- One clock for all: messages that were merged into one change fall due together.
UPDATE {queue} AS held
SET vt = CASE
        WHEN mine.delay > 0 THEN statement_timestamp() + mine.delay * interval '1 second'
        -- A released message takes its old place again, not one behind all that wait.
        ELSE least(held.enqueued_at, statement_timestamp())
    END,
    headers = CASE jsonb_typeof(held.headers) WHEN 'object' THEN held.headers ELSE '{{}}'::jsonb END
        || jsonb_build_object('changelane', mine.notes)
FROM unnest(%(msg_ids)s::bigint[], %(read_cts)s::integer[], %(delays)s::float8[], %(notes)s::jsonb[])
    AS mine (msg_id, read_ct, delay, notes)
WHERE held.msg_id = mine.msg_id AND held.read_ct = mine.read_ct
RETURNING held.msg_id
