SELECT changelane.end_taking(%(lock)s)
