SELECT {name}, count(*) FROM (SELECT FROM {letters} LIMIT {most}) AS counted
