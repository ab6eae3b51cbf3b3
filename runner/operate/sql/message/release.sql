-- In its old place, not behind all that wait.
UPDATE {queue} SET vt = least(enqueued_at, clock_timestamp()) WHERE msg_id = %(id)s AND read_ct = %(deliveries)s
