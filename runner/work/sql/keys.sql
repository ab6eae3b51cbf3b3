SELECT msg_id, {key} FROM {queue} AS held WHERE msg_id = %s
