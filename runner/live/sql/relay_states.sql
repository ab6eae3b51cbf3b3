-- Of a process that told nothing for a minute, only that it stopped is still true.
SELECT queue, process, destination, engine, state, since, error, error_at, published, confirmed, refused, told_at
FROM changelane.relays
WHERE state = 'stopped' OR told_at > clock_timestamp() - interval '1 minute'
ORDER BY destination, queue, process
