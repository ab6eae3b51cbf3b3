-- ON CONFLICT: a role that may archive can put a copy of a message into the archive. The copy must not block.
WITH gone AS (
{ack}
), kept AS (
    INSERT INTO {archive} ({columns})
    SELECT {fresh} FROM gone AS moved
    ON CONFLICT DO NOTHING
)
SELECT msg_id FROM gone
