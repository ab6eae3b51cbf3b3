-- One probe of the vt index: null when the queue is empty, else seconds until its next message is due.
-- Infinity: the message is due beyond the year 9999, so never.
SELECT {name}, (
    SELECT CASE
        WHEN vt <= clock_timestamp() THEN 0
        WHEN vt < '10000-01-01 00:00:00Z' THEN extract(epoch FROM vt - clock_timestamp())
        ELSE 'Infinity'
    END::float8
    FROM {queue}
    ORDER BY vt
    LIMIT 1
), EXISTS (SELECT FROM {pauses} WHERE queue = {name})
