SELECT msg_id, coalesce(pg_column_size(message), 0)
FROM {archive} AS archived
WHERE msg_id > {after} AND archived_at >= {since}::timestamptz AND archived_at < {until}::timestamptz AND (
{where}
) AND NOT EXISTS (
    -- A role with the right to archive can insert a copy of a message that stays in the queue.
    SELECT FROM {queue} AS held
    WHERE held.msg_id = archived.msg_id AND held.enqueued_at = archived.enqueued_at
)
ORDER BY msg_id
LIMIT {limit}
