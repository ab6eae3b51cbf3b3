SELECT changelane.tell_history(%(told)s)::text
