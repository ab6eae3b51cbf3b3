-- Reads a batch of the archive and deletes the rows whose messages it holds. A message holds its row's primary
-- key in the row, or in the message's key where the payload leaves it out.
WITH seen AS MATERIALIZED (
    SELECT archived_at,
           msg_id,
           headers->>'route' = {route} AND message->>'op' IN ('insert', 'snapshot')
               AND message->>'schema' = {schema} AND message->>'table' = {name} AS sent,
           jsonb_build_object({pairs}) AS key
    FROM {archive}
    WHERE archived_at < statement_timestamp() - {keep} * interval '1 second'
        AND (archived_at, msg_id) > ({time}::timestamptz, {msg_id})
    ORDER BY archived_at, msg_id
    LIMIT {limit}
), relayed AS (
    SELECT keyed.* FROM seen CROSS JOIN LATERAL jsonb_to_record(key) AS keyed ({definition}) WHERE sent
), deleted AS (
    DELETE FROM {table} AS outbox USING relayed WHERE {same} RETURNING true
)
SELECT (SELECT count(*) FROM deleted),
       (SELECT count(*) FROM relayed WHERE {lacking}),
       archived_at::text,
       msg_id
FROM seen
ORDER BY seen.archived_at DESC, msg_id DESC
LIMIT 1
