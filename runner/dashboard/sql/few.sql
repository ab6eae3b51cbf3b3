SELECT msg_id FROM {table} WHERE {range} ORDER BY vt LIMIT {limit}
