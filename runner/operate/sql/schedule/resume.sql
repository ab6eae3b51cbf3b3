SELECT changelane.resume_schedule(%s::text, %s::text)
