SELECT msg_id, state, enqueued_at, vt, archived_at, read_ct, attempts, error, key, operation, place, message, headers
FROM (
    SELECT
        msg_id,
        {state} AS state,
        enqueued_at,
        vt,
        {archived_at} AS archived_at,
        read_ct,
        attempts,
        coalesce(headers -> 'changelane' ->> 'error', '') AS error,
        (message -> 'key')::text AS key,
        coalesce(message ->> 'op', '') AS operation,
        concat_ws('.', message ->> 'schema', message ->> 'table') AS place,
        jsonb_pretty(message) AS message,
        jsonb_pretty(headers) AS headers
    FROM (
        {window}
    ) AS seen
    CROSS JOIN LATERAL (
        SELECT
            CASE jsonb_typeof(headers -> 'changelane' -> 'attempts')
                WHEN 'number' THEN least((headers -> 'changelane' ->> 'attempts')::numeric, 1000000)::int ELSE 0
            END AS attempts,
            CASE jsonb_typeof(headers -> 'changelane' -> 'released')
                WHEN 'number' THEN least((headers -> 'changelane' ->> 'released')::numeric, 1000000)::int ELSE 0
            END AS released
    ) AS noted
) AS told
WHERE {wanted}
ORDER BY msg_id {direction}
LIMIT {limit}
