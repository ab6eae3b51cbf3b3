SELECT msg_id, pg_column_size(message)
FROM {archive} AS archived
WHERE msg_id > {after} AND archived_at >= {since}::timestamptz AND archived_at < {until}::timestamptz AND (
{where}
)
ORDER BY msg_id
LIMIT {limit}
