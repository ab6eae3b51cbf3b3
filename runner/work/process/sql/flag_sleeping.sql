SELECT changelane.doze(%(queues)s::text[], %(seconds)s)
