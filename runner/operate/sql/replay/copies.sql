SELECT archived.msg_id
FROM {archive} AS archived
JOIN {queue} AS held ON held.msg_id = archived.msg_id AND held.enqueued_at = archived.enqueued_at
WHERE archived.archived_at >= {since}::timestamptz AND archived.archived_at < {until}::timestamptz
ORDER BY archived.msg_id
LIMIT {limit}
