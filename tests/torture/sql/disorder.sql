-- Effects of one key that did not follow each other, where the consumer keeps their order.
SELECT queue, format('key %s: %s after %s', id, seq, earlier)
FROM (
    SELECT queue, id, seq, lag(seq) OVER (PARTITION BY queue, id ORDER BY n) AS earlier
    FROM torture.ledger
    WHERE queue IN ('ordered', 'blocking', 'merged')
) AS step
WHERE earlier >= seq
