SELECT msg_id, read_ct FROM {table} WHERE {within} AND {beyond} AND {filters} ORDER BY {order}
