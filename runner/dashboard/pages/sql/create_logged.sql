SELECT pgmq.create(%s::text)
