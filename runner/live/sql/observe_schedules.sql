SELECT project, name, queue, cron, every, timezone, body, missed, spec,
       (paused_at IS NOT NULL) AS paused, next_at, last_at,
       has_table_privilege('changelane.schedules', 'INSERT')
           AND has_table_privilege('changelane.schedules', 'UPDATE')
           AND has_table_privilege('changelane.schedules', 'DELETE') AS writable
FROM changelane.schedules
ORDER BY project, name
