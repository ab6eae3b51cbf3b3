    SELECT %(start)s::bigint, 'infinity'::timestamptz, 0, 0, false, 0::bigint, NULL::double precision
    UNION ALL
    SELECT next.grp, next.vt, walked.step + 1,
        walked.found + (next.vt <= statement_timestamp() AND bound.allowed > 0)::int,
        walked.wrapped OR next.wraps, bound.allowed, bound.wait
    FROM walked
    CROSS JOIN room
    CROSS JOIN LATERAL (
        (
            SELECT {group} AS grp, vt, false AS wraps FROM {queue}
            WHERE {group} > walked.grp ORDER BY {group}, vt LIMIT 1
        )
        UNION ALL
        (SELECT {group}, vt, true FROM {queue} WHERE NOT walked.wrapped ORDER BY {group}, vt LIMIT 1)
        LIMIT 1
    ) AS next
    CROSS JOIN LATERAL (
        SELECT least(room.free, {allowed}) AS allowed, {wait} AS wait
        FROM (SELECT next.grp WHERE next.vt <= statement_timestamp()) AS due (grp)
        UNION ALL
        SELECT 0, NULL WHERE NOT next.vt <= statement_timestamp()
    ) AS bound
    WHERE walked.step < %(steps)s AND walked.found < room.free
        AND NOT ((walked.wrapped OR next.wraps) AND next.grp > %(start)s::bigint)
