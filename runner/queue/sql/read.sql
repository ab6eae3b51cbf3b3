SELECT {column}::text FROM {queue} WHERE msg_id = %(msg_id)s AND read_ct = %(read_ct)s
