INSERT INTO changelane.progress (task, asked) VALUES (%(task)s, %(asked)s) ON CONFLICT DO NOTHING
