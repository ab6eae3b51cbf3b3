CASE
    WHEN vt <= statement_timestamp() THEN 'available'
    -- A worker notes the read_ct in "seen" when it gives a message back; a higher read_ct means a new lease.
    WHEN read_ct > {seen} THEN 'leased'
    WHEN headers -> 'changelane' -> 'blocked' = 'true' THEN 'blocked'
    ELSE 'delayed'
END
