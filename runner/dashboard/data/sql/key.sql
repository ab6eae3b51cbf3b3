(
    CASE jsonb_typeof(headers) WHEN 'object' THEN headers ->> 'x-pgmq-group' END = {key}
    OR EXISTS (
        SELECT FROM jsonb_each_text(
            CASE jsonb_typeof(message -> 'key') WHEN 'object' THEN message -> 'key' ELSE '{{}}' END
        ) AS part
        WHERE part.value = {key}
    )
    OR (message -> 'key')::text = {key}
)
