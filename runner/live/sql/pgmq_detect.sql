SELECT
    (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'pgmq') AS version,
    EXISTS (
        SELECT FROM pg_catalog.pg_proc
        WHERE pronamespace = pg_catalog.to_regnamespace('pgmq')
          AND proname = 'send'
          AND 'headers' = ANY (proargnames)
    ) AS headers,
    EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = (
            SELECT oid FROM pg_catalog.pg_class
            WHERE relnamespace = meta.relnamespace AND relname = 'message_record'
        )
          AND attname = 'last_read_at'
          AND NOT attisdropped
    ) AS last_read_at
-- A lookup by name would fail for a table in a schema that the role may not use.
FROM pg_catalog.pg_class AS meta
WHERE relnamespace = pg_catalog.to_regnamespace('pgmq') AND relname = 'meta';
