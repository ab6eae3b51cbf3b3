SELECT {name} AS name,
    coalesce(pg_stat_get_tuples_inserted({table}::regclass), 0) > 0
        OR EXISTS (SELECT FROM {queue}) AS sent,
    extract(epoch FROM now() - (SELECT enqueued_at FROM {queue} ORDER BY msg_id LIMIT 1))::float8
        AS waited,
    extract(epoch FROM now()
        - (SELECT vt FROM {queue} WHERE vt <= now() ORDER BY vt LIMIT 1))::float8 AS late,
    EXISTS (SELECT FROM {queue} WHERE vt > now() + interval '50 years') AS blocked
