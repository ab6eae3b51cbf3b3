-- By the index of vt; each count stops at the cap.
WITH later AS MATERIALIZED (
    SELECT vt, read_ct FROM {queue} WHERE vt > now() ORDER BY vt LIMIT {cap}
)
SELECT (SELECT count(*) FROM (SELECT FROM {queue} WHERE vt <= now() ORDER BY vt LIMIT {cap}) AS capped),
       count(*),
       count(*) FILTER (WHERE read_ct = 0),
       count(*) FILTER (WHERE read_ct > 0 AND vt <= now() + interval '50 years'),
       count(*) FILTER (WHERE vt > now() + interval '50 years')
FROM later
