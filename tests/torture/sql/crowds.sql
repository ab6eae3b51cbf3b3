-- More calls at once than a limit allows, of one key or of the queue. A call that outlasted the lease with which it
-- began is not counted, for its worker may have been stopped, and its place taken.
WITH span AS (
    SELECT * FROM torture.spans WHERE ended < leased_until
), crowd AS (
    SELECT queue, id, began,
        (
            SELECT count(*) FROM span AS other
            WHERE other.id = span.id AND other.began <= span.began AND other.ended > span.began
        ) AS of_key,
        (SELECT count(*) FROM span AS other WHERE other.began <= span.began AND other.ended > span.began) AS of_queue
    FROM span
)
SELECT queue, format('%s calls at once of key %s, and %s of the queue, at %s', of_key, id, of_queue, began)
FROM crowd
WHERE of_key > 2 OR of_queue > 5
UNION ALL
SELECT 'fair', format('%s calls at once of a key and %s of the queue at most: no limit was met', max(of_key), max(of_queue))
FROM crowd
HAVING max(of_key) IS DISTINCT FROM 2
UNION ALL
-- Beyond the rate of a key in 10 seconds; calls begin a little after their claims.
SELECT 'fair', format('%s calls of key %s in the 10 seconds from %s', count(*), span.id, span.began)
FROM torture.spans AS span
JOIN torture.spans AS other ON other.id = span.id AND other.began BETWEEN span.began AND span.began + interval '10 s'
GROUP BY span.id, span.began
HAVING count(*) > 1100
