SELECT message.headers->>'route' AS route,
       message.message->>'schema' AS schema,
       message.message->>'table' AS table,
       count(*) AS count
FROM {queue} AS message
WHERE message.msg_id > %(last)s
    AND (
        message.message->>'txid' = pg_current_xact_id()::text
        OR message.xmin::text::bigint = pg_current_xact_id()::text::bigint & 4294967295
    )
GROUP BY 1, 2, 3
