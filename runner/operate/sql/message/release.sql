-- The vt of its sending gives the message its old place back, before all messages that wait.
UPDATE {queue} SET vt = least(enqueued_at, clock_timestamp()) WHERE msg_id = %(id)s AND read_ct = %(deliveries)s
