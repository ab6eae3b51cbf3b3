SELECT changelane.rouse(%s::text[])
