SELECT name, spec, cron, every, timezone, missed, since, next_at, clock_timestamp() AS now
FROM changelane.schedules
WHERE project = %s AND paused_at IS NULL
ORDER BY next_at NULLS FIRST
LIMIT 100
