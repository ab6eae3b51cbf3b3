SELECT queue, seconds, at, handled, failed, retried, depth, inserted, waited, worked
FROM changelane.history
WHERE at >= %(since)s AND at < %(until)s AND (%(queue)s::text IS NULL OR queue = %(queue)s)
ORDER BY at, queue
