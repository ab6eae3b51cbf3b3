-- The latency is the time between two commits, by the server's own record (track_commit_timestamp): of the
-- transaction that made the change, and of the transaction in which the handler wrote the replica.
WITH handled AS (
    SELECT
        coalesce(queue, '') AS queue,
        count(*) AS messages,
        sum(attempt - 1) AS retries,
        percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (
            ORDER BY 1000 * extract(epoch FROM
                pg_xact_commit_timestamp(handled.xmin) - pg_xact_commit_timestamp(captured_in::xid))
        ) AS latency
    FROM replica.handled
    GROUP BY GROUPING SETS ((queue), ())
),
queue AS (
    SELECT
        coalesce(name, '') AS name,
        sum(live.total_messages) AS captured,
        sum(live.queue_length) AS backlog,
        sum(dead.queue_length) AS dead_letters
    FROM unnest(%(queues)s::text[]) AS name,
        pgmq.metrics(name) AS live,
        pgmq.metrics(name || '_dlq') AS dead
    GROUP BY GROUPING SETS ((name), ())
)
SELECT
    queue.name AS queue,
    queue.captured::bigint AS captured,
    coalesce(handled.messages, 0) AS handled,
    queue.backlog::bigint AS backlog,
    coalesce(handled.retries, 0)::bigint AS retries,
    queue.dead_letters::bigint AS dead_letters,
    handled.latency[1] AS p50,
    handled.latency[2] AS p99,
    handled.latency[3] AS slowest
FROM queue
LEFT JOIN handled ON handled.queue = queue.name
