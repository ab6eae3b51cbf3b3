-- What a reader sees who drops the ids that it knows: changes of one key that did not follow each other.
SELECT queue, format('key %s: %s after %s', key, seq, earlier)
FROM (
    SELECT queue, key, seq, lag(seq) OVER (PARTITION BY queue, key ORDER BY first) AS earlier
    FROM (SELECT queue, id, key, seq, min(n) AS first FROM torture.arrived GROUP BY queue, id, key, seq) AS read
) AS step
WHERE earlier >= seq
