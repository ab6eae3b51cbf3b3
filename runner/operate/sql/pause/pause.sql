SELECT changelane.pause(%s::text)
