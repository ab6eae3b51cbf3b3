part AS MATERIALIZED (
    -- Only captured changes of one route and table are ever merged; any other message stays by itself.
    SELECT taken.key, claimed.*, CASE
        WHEN jsonb_typeof(headers -> 'route') = 'string'
            AND jsonb_typeof(message -> 'key') = 'object'
            AND message ->> 'op' IN ('insert', 'update', 'delete', 'snapshot')
        THEN jsonb_build_array(headers -> 'route', message -> 'schema', message -> 'table', message -> 'key')
        ELSE to_jsonb(claimed.msg_id)
    END AS identity
    FROM claimed
    JOIN taken ON taken.msg_id = claimed.msg_id
), merged AS MATERIALIZED (
    SELECT key, identity, min(msg_id) AS first, max(msg_id) AS last, max(read_ct) > 1 AS seen,
        array_agg(msg_id ORDER BY msg_id) AS msg_ids,
        array_agg(read_ct ORDER BY msg_id) AS read_cts,
        array_agg(message ->> 'id' ORDER BY msg_id) AS ids,
        array_agg(headers ->> 'changelane' ORDER BY msg_id) FILTER (WHERE headers ? 'changelane') AS notes,
        bool_or(message @> '{{"truncated": true}}') AS cut
    FROM part
    GROUP BY key, identity
), oldest AS (
    -- Where `old` holds only the columns that differ, the first value of each column is its old one.
    SELECT key, identity, jsonb_object_agg(name, value) AS old
    FROM (
        SELECT DISTINCT ON (part.key, identity, field.key) part.key, identity, field.key AS name, field.value
        FROM part
        CROSS JOIN LATERAL jsonb_each(
            CASE jsonb_typeof(message -> 'old') WHEN 'object' THEN message -> 'old' ELSE '{{}}' END
        ) AS field
        WHERE headers ->> 'route' = ANY (%(partial)s::text[])
        ORDER BY part.key, identity, field.key, msg_id
    ) AS field
    GROUP BY key, identity
), ended AS (
    SELECT merged.*, ending.message, ending.headers, ending.enqueued_at,
        beginning.message -> 'old' AS old,
        beginning.message ->> 'op' AS first_op,
        ending.message ->> 'op' = 'delete' AS gone,
        oldest.old AS partial,
        beginning.message @> '{{"truncated": true}}' OR ending.message @> '{{"truncated": true}}'
            OR (oldest.old IS NOT NULL AND merged.cut) AS truncated,
        merged.first = merged.last OR ending.headers ->> 'route' = ANY (%(shared)s::text[]) AS plain
    FROM merged
    JOIN part AS beginning ON beginning.msg_id = merged.first
    JOIN part AS ending ON ending.msg_id = merged.last
    LEFT JOIN oldest ON oldest.key = merged.key AND oldest.identity = merged.identity
), lead AS (
    SELECT key, msg_ids, read_cts, ids, notes,
        -- A handler may have seen what was claimed before: then the deletion has to reach it.
        NOT plain AND gone AND first_op = 'insert' AND NOT seen AS void,
        (CASE WHEN plain THEN message ELSE message || jsonb_build_object(
            'op', CASE
                WHEN gone THEN 'delete' WHEN first_op IN ('insert', 'snapshot') THEN first_op ELSE 'update'
            END,
            'old', CASE
                WHEN first_op IN ('insert', 'snapshot') THEN CASE WHEN gone THEN message -> 'old' END
                WHEN partial IS NULL THEN old
                WHEN gone THEN partial
                ELSE (
                    SELECT coalesce(jsonb_object_agg(name, value), '{{}}')
                    FROM jsonb_each(partial) AS field (name, value)
                    WHERE message -> 'new' -> name IS DISTINCT FROM value
                )
            END
        ) || CASE WHEN truncated THEN '{{"truncated": true}}' ELSE '{{}}' END::jsonb END)::text AS message,
        headers::text AS headers,
        enqueued_at::text AS enqueued_at
    FROM ended
)
