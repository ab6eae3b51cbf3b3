-- Operators carry their schema: this runs in the handler's transaction, with any search_path.
DELETE FROM {queue} AS held
WHERE msg_id OPERATOR(pg_catalog.=) %s AND read_ct OPERATOR(pg_catalog.=) %s
RETURNING {returned}
