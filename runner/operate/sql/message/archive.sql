-- The archive may hold this id already: a role with the right to archive can insert a copy.
WITH moved AS (
    DELETE FROM {queue}
    WHERE msg_id = %(id)s AND read_ct = %(deliveries)s
    RETURNING {columns}
), kept AS (
    INSERT INTO {archive} ({columns})
    SELECT {fresh} FROM moved
    ON CONFLICT DO NOTHING
)
SELECT msg_id FROM moved
