SELECT changelane.tell_relays(%(process)s, %(relays)s)
