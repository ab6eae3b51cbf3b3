WITH gone AS (
{ack}
)
INSERT INTO {archive} AS held ({columns})
SELECT {columns} FROM gone
RETURNING held.msg_id
