INSERT INTO changelane.pauses (queue) VALUES (%s) ON CONFLICT DO NOTHING
