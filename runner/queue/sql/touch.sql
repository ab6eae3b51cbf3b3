last_read_at = clock_timestamp(),
