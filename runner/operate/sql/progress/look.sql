SELECT asked, after, done FROM changelane.progress WHERE task = %(task)s FOR UPDATE
