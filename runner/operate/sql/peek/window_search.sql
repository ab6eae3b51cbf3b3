SELECT * FROM {table} WHERE msg_id {beyond} {after} AND (
{where}
)
