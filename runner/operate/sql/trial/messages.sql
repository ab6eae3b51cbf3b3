-- Messages of this transaction: its id is in the envelope, or, for a message sent by hand, in the row.
SELECT message.headers->>'route' AS route,
       message.message->>'op' AS op,
       (nullif(message.message->'key', 'null'))::text AS key,
       octet_length(message.message::text) AS size,
       greatest(extract(epoch FROM message.vt - clock_timestamp()), 0)::float8 AS delay,
       message.message::text AS body
FROM {queue} AS message
WHERE message.msg_id > %(last)s
    AND (
        message.message->>'txid' = pg_current_xact_id()::text
        OR message.xmin::text::bigint = pg_current_xact_id()::text::bigint & 4294967295
    )
ORDER BY message.msg_id
LIMIT %(limit)s
