(
    SELECT {key}, msg_id, vt, 1
    FROM {queue}
    WHERE {key} >= %(start)s::bigint
    ORDER BY {key}, msg_id
    LIMIT 1
)
UNION ALL
SELECT next.key, next.msg_id, next.vt, walked.step + 1
FROM walked
CROSS JOIN LATERAL (
    SELECT {key} AS key, msg_id, vt
    FROM {queue}
    WHERE {key} > walked.key
    ORDER BY {key}, msg_id
    LIMIT 1
) AS next
WHERE walked.step < %(steps)s::int
