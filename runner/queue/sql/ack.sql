-- In the handler's transaction, whose path may be anyone's.
DELETE FROM {queue} AS held
USING unnest(%(msg_ids)s::bigint[], %(read_cts)s::integer[]) AS mine (msg_id, read_ct)
WHERE held.msg_id OPERATOR(pg_catalog.=) mine.msg_id AND held.read_ct OPERATOR(pg_catalog.=) mine.read_ct
RETURNING {returned}
