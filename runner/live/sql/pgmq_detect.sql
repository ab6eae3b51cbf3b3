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
-- By its name, a table of a schema that the role may not use would be an error.
FROM pg_catalog.pg_class AS meta
WHERE relnamespace = pg_catalog.to_regnamespace('pgmq') AND relname = 'meta';
