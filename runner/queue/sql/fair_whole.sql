    -- Without turns, all messages are one group.
    SELECT 0::bigint, first.vt, 1, 1, true, room.free, NULL::double precision
    FROM room
    CROSS JOIN LATERAL (SELECT vt FROM {queue} ORDER BY vt LIMIT 1) AS first
