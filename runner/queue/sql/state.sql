CASE
    WHEN vt <= statement_timestamp() THEN 'available'
    -- A worker that gives a message back notes the delivery.
    WHEN read_ct > {seen} THEN 'leased'
    WHEN headers -> 'changelane' -> 'blocked' = 'true' THEN 'blocked'
    ELSE 'delayed'
END
