SELECT * FROM {table} WHERE msg_id {beyond} {after} ORDER BY msg_id {direction} LIMIT {look}
