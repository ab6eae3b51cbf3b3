SELECT count(*) FROM (SELECT FROM {queue} LIMIT {depth}) AS seen
