-- Ids that stand for more than one change.
SELECT queue, format('%s: %s', id, array_agg(DISTINCT (key, seq)))
FROM torture.arrived
GROUP BY queue, id
HAVING count(DISTINCT (key, seq)) > 1
