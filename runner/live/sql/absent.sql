SELECT name
FROM unnest(%(relations)s::text[]) AS name
WHERE NOT EXISTS (
    SELECT FROM pg_class
    WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq') AND relname = name
)
