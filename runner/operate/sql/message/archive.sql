-- A copy may be in the archive: who may archive can make one.
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
