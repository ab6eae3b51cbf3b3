INSERT INTO changelane.audit (who, remote, action, queue, arguments, outcome)
VALUES (%(who)s, %(remote)s, %(action)s, %(queue)s, %(arguments)s::jsonb, %(outcome)s)
