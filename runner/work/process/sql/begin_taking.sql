SELECT changelane.begin_taking(%(queue)s, %(lock)s)::text
