SELECT pgmq.create_unlogged(%s::text)
