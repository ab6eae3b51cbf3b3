-- In the handler's transaction, whose path may be anyone's.
DELETE FROM {queue} AS held
WHERE msg_id OPERATOR(pg_catalog.=) %s AND read_ct OPERATOR(pg_catalog.=) %s
RETURNING {returned}
