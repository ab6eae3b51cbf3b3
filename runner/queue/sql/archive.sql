-- ON CONFLICT: see keep.sql.
WITH moved AS (
    DELETE FROM {queue}
    WHERE msg_id = %(msg_id)s AND read_ct = %(read_ct)s
    RETURNING {columns}
), kept AS (
    INSERT INTO {archive} ({columns})
    SELECT {fresh} FROM moved
    ON CONFLICT DO NOTHING
)
SELECT msg_id FROM moved
