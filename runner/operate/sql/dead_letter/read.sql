SELECT msg_id, enqueued_at, {texts}
FROM {queue}
WHERE msg_id = ANY ({ids}::bigint[])
ORDER BY msg_id
