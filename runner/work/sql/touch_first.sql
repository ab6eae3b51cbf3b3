last_read_at = CASE WHEN chosen.first THEN clock_timestamp() ELSE held.last_read_at END,
