-- The messages of a key by the index of its hash. The key is a group as it is, or the value of the only column that
-- the queue's first message has in its key.
WITH sample AS (
    SELECT name
    FROM (SELECT message FROM {table} ORDER BY msg_id LIMIT 1) AS first
    CROSS JOIN LATERAL jsonb_object_keys(
        CASE jsonb_typeof(message -> 'key') WHEN 'object' THEN message -> 'key' ELSE '{{}}' END
    ) AS name
), wanted AS (
    SELECT {key}::text AS name
    UNION SELECT jsonb_build_object(name, {key}::text)::text FROM sample
    UNION SELECT format('{{%s: %s}}', to_jsonb(name), {key}::text) FROM sample
), found AS MATERIALIZED (
    SELECT held.msg_id
    FROM wanted
    CROSS JOIN LATERAL (
        SELECT msg_id, headers FROM {table}
        WHERE hashtextextended(headers ->> 'x-pgmq-group', 0) = hashtextextended(wanted.name, 0)
        ORDER BY hashtextextended(headers ->> 'x-pgmq-group', 0), msg_id
        LIMIT {limit}
    ) AS held
    WHERE held.headers ->> 'x-pgmq-group' = wanted.name
)
SELECT msg_id FROM found WHERE {beyond} ORDER BY {order}
