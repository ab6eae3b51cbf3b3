SELECT {name}, (SELECT count(*) FROM (SELECT FROM {queue} LIMIT {cap}) AS capped)
