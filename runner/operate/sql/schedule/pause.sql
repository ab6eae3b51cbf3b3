SELECT changelane.pause_schedule(%s::text, %s::text)
