SELECT id, at, who, remote, action, queue, arguments::text AS arguments, outcome
FROM changelane.audit
WHERE %(before)s::bigint IS NULL OR id < %(before)s::bigint
ORDER BY id DESC
LIMIT %(limit)s
