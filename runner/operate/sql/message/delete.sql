DELETE FROM {queue} WHERE msg_id = %(id)s AND read_ct = %(deliveries)s
