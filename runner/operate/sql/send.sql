-- The group is the key as text, as in the capture functions.
SELECT pgmq.send(
    %(queue)s::text,
    sent.message,
    sent.headers || CASE
        WHEN coalesce(%(group)s::text, sent.message ->> 'key') IS NULL THEN '{}'::jsonb
        ELSE jsonb_build_object('x-pgmq-group', coalesce(%(group)s::text, sent.message ->> 'key'))
    END,
    clock_timestamp() + %(delay)s * interval '1 second'
)
FROM (SELECT %(message)s::jsonb AS message, coalesce(%(headers)s::jsonb, '{}') AS headers) AS sent
