DELETE FROM {queue} WHERE msg_id = %s AND read_ct = %s
