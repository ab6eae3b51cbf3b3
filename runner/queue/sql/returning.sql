-- Messages that come back again and again, sought among those that wait and among the oldest.
SELECT DISTINCT msg_id, {returned} AS returned, headers -> 'changelane' ->> 'error' AS error
FROM (
    (SELECT msg_id, headers FROM {queue} WHERE vt > statement_timestamp() ORDER BY vt LIMIT {look})
    UNION ALL
    (SELECT msg_id, headers FROM {queue} ORDER BY msg_id LIMIT {look})
) AS message
WHERE {returned} >= {least}
