SELECT msg_id FROM {table} WHERE {within} AND {beyond} AND {filters} ORDER BY {order} LIMIT {limit}
