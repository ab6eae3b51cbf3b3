DELETE FROM {queue} AS held WHERE msg_id = %s AND read_ct = %s RETURNING {returned}
