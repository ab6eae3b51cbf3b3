SELECT coalesce(max(msg_id), 0) FROM {queue}
