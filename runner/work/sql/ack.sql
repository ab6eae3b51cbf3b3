DELETE FROM {queue} AS held
USING unnest(%(msg_ids)s::bigint[], %(read_cts)s::integer[]) AS mine (msg_id, read_ct)
WHERE held.msg_id = mine.msg_id AND held.read_ct = mine.read_ct
RETURNING {returned}
