SELECT {name} AS queue_name, (SELECT count(*) FROM (SELECT FROM {table} LIMIT 5000) AS capped) AS depth
