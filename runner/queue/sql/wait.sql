    -- What was claimed before has waited already.
    CROSS JOIN LATERAL (
        SELECT CASE WHEN head.read_ct = 0 THEN least(
            head.vt + %(at_most)s::float8 * interval '1 second',
            (
                SELECT vt
                FROM {queue}
                WHERE {key} = looked.key
                ORDER BY {key} DESC, msg_id DESC
                LIMIT 1
            ) + %(quiet)s::float8 * interval '1 second'
        ) END AS until
    ) AS wait
