WITH moved AS (
    DELETE FROM {queue}
    WHERE msg_id = %(id)s AND read_ct = %(deliveries)s
    RETURNING {columns}
)
INSERT INTO {archive} ({columns})
SELECT {columns} FROM moved
