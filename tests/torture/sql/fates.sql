-- Each change has one fate. Its kind decides it, and how its consumer treats messages that keep failing. A change
-- is lost if its fate is not observed, a ghost if its fate was not expected, repeated if it is observed twice.
WITH expected AS (
    SELECT queue, id, seq, CASE
        WHEN queue = 'blocking' AND seq >= min(seq) FILTER (WHERE doomed) OVER (PARTITION BY queue, id)
            THEN 'queued'
        WHEN kind = 'gone' THEN 'dead'
        WHEN NOT doomed THEN 'effect'
        WHEN queue = 'asyncs' THEN 'archived'
        ELSE 'dead'
    END AS fate
    FROM (SELECT *, kind IN ('poison', 'exits', 'crashes') AS doomed FROM torture.written) AS change
    -- The last of merged changes can be any of them; states.sql compares the last states themselves.
    WHERE queue <> 'merged' OR EXISTS (
        SELECT FROM torture.ledger
        WHERE ledger.queue = 'merged' AND ledger.id = change.id AND ledger.seq = change.seq
    )
), observed AS (
    SELECT queue, id, seq, 'effect' AS fate FROM torture.ledger
    UNION ALL
    SELECT CASE WHEN queue LIKE '%\_dlq' THEN left(queue, -4) ELSE queue END, id, seq,
        CASE WHEN queue LIKE '%\_dlq' THEN 'dead' ELSE 'queued' END
    FROM torture.held('q_')
    UNION ALL
    SELECT queue, id, seq, 'archived' FROM torture.held('a_')
), counted AS (
    SELECT queue, id, seq, fate, count(*) AS times FROM observed GROUP BY queue, id, seq, fate
)
SELECT queue, fate,
    count(expected.seq) AS expected,
    count(*) FILTER (WHERE times IS NULL) AS lost,
    count(*) FILTER (WHERE expected.seq IS NULL) AS ghosts,
    coalesce(sum(times - 1) FILTER (WHERE times > 1), 0)::bigint AS repeated,
    (array_agg(format('%s %s', id, seq)) FILTER (WHERE times IS NULL))[:5],
    (array_agg(format('%s %s', id, seq)) FILTER (WHERE expected.seq IS NULL))[:5],
    (array_agg(format('%s %s', id, seq)) FILTER (WHERE times > 1))[:5]
FROM expected
FULL JOIN counted USING (queue, id, seq, fate)
GROUP BY queue, fate
ORDER BY queue, fate
