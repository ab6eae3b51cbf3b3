-- The waiting times of messages archived since then, by the index of archived_at.
SELECT count(*) AS count,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY waited) AS median,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY waited) AS high
FROM (
    SELECT greatest(extract(epoch FROM archived_at - enqueued_at), 0)::float8 AS waited
    FROM {archive}
    WHERE archived_at > now() - %(seconds)s * interval '1 second' AND isfinite(archived_at) AND isfinite(enqueued_at)
    ORDER BY archived_at DESC
    LIMIT 1000
) AS last
