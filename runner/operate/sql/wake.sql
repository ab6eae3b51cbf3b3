SELECT pg_notify('changelane_' || queue, '')
FROM changelane.sleepers
WHERE queue = %(queue)s AND until > clock_timestamp()
