SELECT name, queue, cron, every, timezone, missed, since, next_at, last_at, sent_at, runs, passed_over, paused_at,
       clock_timestamp() AS now,
       CASE
           WHEN paused_at IS NULL THEN greatest(0, extract(epoch FROM clock_timestamp() - next_at))
           ELSE 0
       END::float8 AS late
FROM changelane.schedules
WHERE project = %s
ORDER BY name
