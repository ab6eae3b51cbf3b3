SELECT kind, count(*), min(enqueued_at), max(enqueued_at)
FROM (
    -- A Python error counts by its class, the part before the message.
    SELECT left(split_part(headers -> 'dead_letter' ->> 'error', ':', 1), 80) AS kind, enqueued_at
    FROM {queue}
    ORDER BY msg_id DESC
    LIMIT {limit}
) AS letter
WHERE kind <> ''
GROUP BY kind
ORDER BY count(*) DESC, kind
LIMIT {kinds}
