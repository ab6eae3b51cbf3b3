-- By the index of msg_id alone, whatever the depth; the count stops at the cap.
SELECT (SELECT count(*) FROM (SELECT FROM {queue} ORDER BY msg_id LIMIT {cap}) AS capped) AS depth,
       extract(epoch FROM clock_timestamp() - (SELECT enqueued_at FROM {queue} ORDER BY msg_id LIMIT 1))::float8
           AS oldest
