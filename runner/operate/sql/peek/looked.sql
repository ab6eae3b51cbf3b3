-- The id of the last message of a full page of reading.
SELECT msg_id FROM {table} WHERE msg_id {beyond} {after} ORDER BY msg_id {direction} OFFSET {look} - 1 LIMIT 1
