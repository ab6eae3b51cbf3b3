SELECT max(msg_id) FROM {queue}
