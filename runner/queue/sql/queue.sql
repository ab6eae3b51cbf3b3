SELECT array(
    SELECT live.attname::text
    FROM pg_catalog.pg_attribute AS live
    JOIN pg_catalog.pg_attribute AS archived ON archived.attname = live.attname
    WHERE live.attrelid = to_regclass(format('pgmq.%%I', 'q_' || lower(meta.queue_name)))
        AND archived.attrelid = to_regclass(format('pgmq.%%I', 'a_' || lower(meta.queue_name)))
        AND live.attnum > 0 AND NOT live.attisdropped
        AND archived.attnum > 0 AND NOT archived.attisdropped
    ORDER BY live.attnum
), lower(meta.queue_name)
FROM pgmq.meta
WHERE meta.queue_name = %(name)s
    AND to_regclass(format('pgmq.%%I', 'q_' || lower(meta.queue_name))) IS NOT NULL
