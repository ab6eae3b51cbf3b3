-- Like fates.sql, for relays. A change after a poison has the poison's row as its old one, so it is too large, too.
-- A reader drops a copy with a known id. A copy with another id counts as repeated.
WITH change AS (
    SELECT *, lag(kind) OVER (PARTITION BY queue, id ORDER BY seq) = 'poison' AS follows FROM torture.written
), expected AS (
    SELECT queue, id, seq,
        CASE WHEN kind = 'poison' OR follows AND queue IN ('nats', 'kafka', 'rabbitmq') THEN 'dead' ELSE 'sent' END AS fate
    FROM change
), counted AS (
    SELECT queue, key AS id, seq, 'sent' AS fate, count(DISTINCT id) AS times, count(*) AS copies
    FROM torture.arrived
    GROUP BY queue, key, seq
    UNION ALL
    SELECT regexp_replace(queue, '_dlq$', ''), id, seq, CASE WHEN queue LIKE '%\_dlq' THEN 'dead' ELSE 'queued' END,
        count(*), count(*)
    FROM torture.held('q_')
    GROUP BY queue, id, seq
)
SELECT queue, fate,
    count(expected.seq) AS expected,
    count(*) FILTER (WHERE times IS NULL) AS lost,
    count(*) FILTER (WHERE expected.seq IS NULL) AS ghosts,
    coalesce(sum(times - 1), 0)::bigint AS repeated,
    coalesce(sum(copies - times), 0)::bigint AS dropped,
    (array_agg(format('%s %s', id, seq)) FILTER (WHERE times IS NULL))[:5],
    (array_agg(format('%s %s', id, seq)) FILTER (WHERE expected.seq IS NULL))[:5],
    (array_agg(format('%s %s', id, seq)) FILTER (WHERE times > 1))[:5]
FROM expected
FULL JOIN counted USING (queue, id, seq, fate)
GROUP BY queue, fate
ORDER BY queue, fate
