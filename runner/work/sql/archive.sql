WITH moved AS (
    DELETE FROM {queue}
    WHERE msg_id = %(msg_id)s AND read_ct = %(read_ct)s
    RETURNING {columns}
)
INSERT INTO {archive} ({columns})
SELECT {columns} FROM moved
RETURNING msg_id
