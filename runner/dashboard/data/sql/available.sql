SELECT count(*) FROM (SELECT FROM {queue} WHERE vt <= now() ORDER BY vt LIMIT {cap}) AS capped
