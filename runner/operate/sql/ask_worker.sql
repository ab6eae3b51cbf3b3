SELECT changelane.ask_worker(%(process)s, %(wish)s)
