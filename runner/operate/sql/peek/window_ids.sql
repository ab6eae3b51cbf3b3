SELECT * FROM {table} WHERE msg_id = ANY ({ids}::bigint[])
