-- Changes of one key that are out of order for a reader that drops known ids.
SELECT queue, format('key %s: %s after %s', key, seq, earlier)
FROM (
    SELECT queue, key, seq, lag(seq) OVER (PARTITION BY queue, key ORDER BY first) AS earlier
    FROM (SELECT queue, id, key, seq, min(n) AS first FROM torture.arrived GROUP BY queue, id, key, seq) AS read
) AS step
WHERE earlier >= seq
