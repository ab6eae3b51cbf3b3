, kept AS (
    -- The handling counts as a delivery. For the conflict see keep.sql.
    INSERT INTO {archive} ({columns})
    SELECT {fresh} FROM (SELECT {delivered} FROM taken) AS moved
    ON CONFLICT DO NOTHING
)
