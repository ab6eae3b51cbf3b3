UPDATE changelane.progress SET after = %(after)s, done = done + %(sent)s WHERE task = %(task)s
