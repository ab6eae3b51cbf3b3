SELECT kind, count(*)
FROM (
    -- Of a Python error, its class: what stands before the message.
    SELECT left(split_part(headers -> 'dead_letter' ->> 'error', ':', 1), 80) AS kind
    FROM {queue}
    ORDER BY msg_id
    LIMIT {limit}
) AS letter
WHERE kind <> ''
GROUP BY kind
ORDER BY count(*) DESC, kind
LIMIT {kinds}
