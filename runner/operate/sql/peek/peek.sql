SELECT msg_id, state, enqueued_at, vt, archived_at, read_ct, attempts, {texts}
FROM (
    SELECT
        msg_id,
        {state} AS state,
        enqueued_at,
        vt,
        {archived_at} AS archived_at,
        read_ct,
        {attempts} AS attempts,
        coalesce(headers -> 'changelane' ->> 'error', '') AS error,
        (message -> 'key')::text AS key,
        coalesce(message ->> 'op', '') AS operation,
        concat_ws('.', message ->> 'schema', message ->> 'table') AS place,
        coalesce(jsonb_pretty(message), 'null') AS message,
        jsonb_pretty(headers) AS headers
    FROM (
        {window}
    ) AS seen
) AS told
WHERE {wanted}
ORDER BY msg_id {direction}
LIMIT {limit}
