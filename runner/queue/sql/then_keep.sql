, kept AS (
    -- ON CONFLICT: see keep.sql.
    INSERT INTO {archive} ({columns})
    SELECT {fresh} FROM gone AS moved
    ON CONFLICT DO NOTHING
)
SELECT msg_id FROM whole
