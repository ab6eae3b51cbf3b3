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
        WHERE attrelid = pg_catalog.to_regclass('pgmq.message_record')
          AND attname = 'last_read_at'
          AND NOT attisdropped
    ) AS last_read_at
WHERE pg_catalog.to_regclass('pgmq.meta') IS NOT NULL;
