SELECT changelane.resume(%s::text)
