-- Operators carry their schema: this runs in the handler's transaction, with any search_path.
DELETE FROM {queue} AS held
USING unnest(%(msg_ids)s::bigint[], %(read_cts)s::integer[]) AS mine (msg_id, read_ct)
WHERE held.msg_id OPERATOR(pg_catalog.=) mine.msg_id AND held.read_ct OPERATOR(pg_catalog.=) mine.read_ct
RETURNING {returned}
