CASE jsonb_typeof(headers -> 'changelane' -> {name})
    WHEN 'number' THEN least(greatest((headers -> 'changelane' ->> {name})::numeric, 0), 1000000)::int ELSE 0
END
