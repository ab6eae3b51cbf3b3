-- Who may archive can put a copy into the archive, which then is in the way of nothing.
WITH gone AS (
{ack}
), kept AS (
    INSERT INTO {archive} ({columns})
    SELECT {fresh} FROM gone AS moved
    ON CONFLICT DO NOTHING
)
SELECT msg_id FROM gone
