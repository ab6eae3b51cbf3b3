-- What workers told of the queues, in steps: rates and depths summed over the queues, and counts of times. What was
-- inserted is the difference to the step before, which may be long ago.
WITH told AS (
    SELECT queue, date_bin(make_interval(secs => %(step)s), at, '2000-01-01 00:00:00Z') AS start,
        sum(handled)::bigint AS handled, sum(failed)::bigint AS failed, sum(retried)::bigint AS retried,
        (array_agg(depth ORDER BY at DESC) FILTER (WHERE depth IS NOT NULL))[1] AS depth,
        max(inserted) AS inserted, ARRAY[{waited}]::bigint[] AS waited, ARRAY[{worked}]::bigint[] AS worked
    FROM changelane.history
    WHERE at >= %(since)s AND (%(queue)s::text IS NULL OR queue = %(queue)s)
    GROUP BY 1, 2
), moved AS (
    SELECT told.*, inserted - lag(inserted) OVER before AS added,
        extract(epoch FROM start - lag(start) OVER before) AS passed
    FROM told
    WINDOW before AS (PARTITION BY queue ORDER BY start)
)
SELECT start AS at, %(step)s::int AS seconds, sum(handled)::bigint AS handled, sum(failed)::bigint AS failed,
    sum(retried)::bigint AS retried, sum(depth)::bigint AS depth,
    (sum(added / passed) FILTER (WHERE added >= 0))::float8 AS sent,
    ARRAY[{waited}]::bigint[] AS waited, ARRAY[{worked}]::bigint[] AS worked
FROM moved
GROUP BY start
ORDER BY start
