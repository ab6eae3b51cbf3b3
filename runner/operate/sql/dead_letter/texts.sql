(message -> 'key')::text,
    coalesce(jsonb_pretty(message), 'null'),
    CASE jsonb_typeof(headers) WHEN 'object' THEN (headers -> 'dead_letter')::text END,
    jsonb_pretty(CASE jsonb_typeof(headers) WHEN 'object' THEN headers - 'dead_letter' ELSE headers END)
