SELECT msg_id FROM {table} WHERE {beyond} ORDER BY {order} OFFSET {offset} LIMIT 1
