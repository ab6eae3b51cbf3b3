SELECT {name} AS name,
    coalesce(pg_stat_get_tuples_inserted({table}::regclass), 0) > 0
        OR EXISTS (SELECT FROM {queue}) AS sent,
    (SELECT CASE WHEN isfinite(enqueued_at) THEN extract(epoch FROM now() - enqueued_at) END
        FROM {queue} ORDER BY msg_id LIMIT 1)::float8 AS waited,
    (SELECT CASE
            WHEN isfinite(vt) THEN extract(epoch FROM now() - vt)
            WHEN isfinite(enqueued_at) THEN extract(epoch FROM now() - enqueued_at)
        END
        FROM {queue} WHERE vt <= now() ORDER BY vt LIMIT 1)::float8 AS late,
    EXISTS (SELECT FROM (
        SELECT {state} AS state FROM {queue} WHERE vt > now() ORDER BY vt DESC LIMIT {look}
    ) AS far WHERE state = 'blocked') AS blocked,
    EXISTS (SELECT FROM {queue} WHERE vt >= '10000-01-01 00:00:00Z') AS never
