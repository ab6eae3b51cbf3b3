SELECT changelane.run_schedule(%s::text, %s::text)
