DELETE FROM changelane.progress WHERE task = %(task)s
