SELECT msg_id
FROM (SELECT msg_id, enqueued_at, message, headers FROM {queue}) AS letter
WHERE {ids} AND (
{where}
)
ORDER BY msg_id
LIMIT {limit}
