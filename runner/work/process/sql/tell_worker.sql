SELECT changelane.tell_worker(%(process)s, %(told)s)
