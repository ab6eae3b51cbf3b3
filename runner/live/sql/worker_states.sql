SELECT process, host, pid, version, since, queues, state, running, {error} AS error, error_at, wish,
    extract(epoch FROM clock_timestamp() - told_at)::float8 AS silent
FROM changelane.workers
ORDER BY host, pid, process
