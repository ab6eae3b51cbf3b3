-- What workers told of the queues, in steps: rates and depths summed over the queues, and counts of times. What was
-- inserted is the difference to the step before, which may be long ago.
WITH told AS MATERIALIZED (
    SELECT queue, at, date_bin(make_interval(secs => %(step)s), at, '2000-01-01 00:00:00Z') AS start,
        handled, failed, retried, depth, inserted, waited, worked
    FROM changelane.history
    WHERE at >= %(since)s AND (%(queue)s::text IS NULL OR queue = %(queue)s)
), seen AS (
    SELECT queue, start, sum(handled) AS handled, sum(failed) AS failed, sum(retried) AS retried,
        (array_agg(depth ORDER BY at DESC) FILTER (WHERE depth IS NOT NULL))[1] AS depth,
        max(inserted) AS inserted
    FROM told
    GROUP BY queue, start
), moved AS (
    SELECT seen.*, inserted - lag(inserted) OVER before AS added,
        extract(epoch FROM start - lag(start) OVER before) AS passed
    FROM seen
    WINDOW before AS (PARTITION BY queue ORDER BY start)
), counted AS (
    SELECT start, place, coalesce(sum(one), 0)::bigint AS waited, coalesce(sum(other), 0)::bigint AS worked
    FROM told
    CROSS JOIN LATERAL unnest(waited, worked) WITH ORDINALITY AS pair (one, other, place)
    GROUP BY start, place
), times AS (
    SELECT start, array_agg(waited ORDER BY place) AS waited, array_agg(worked ORDER BY place) AS worked
    FROM counted
    GROUP BY start
), whole AS (
    SELECT start, sum(handled)::bigint AS handled, sum(failed)::bigint AS failed, sum(retried)::bigint AS retried,
        sum(depth)::bigint AS depth, (sum(added / passed) FILTER (WHERE added >= 0))::float8 AS sent
    FROM moved
    GROUP BY start
)
SELECT whole.start AS at, %(step)s::int AS seconds, handled, failed, retried, depth, sent,
    coalesce(times.waited, '{}') AS waited, coalesce(times.worked, '{}') AS worked
FROM whole
LEFT JOIN times USING (start)
ORDER BY whole.start
