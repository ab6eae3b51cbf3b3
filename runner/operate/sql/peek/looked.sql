-- The last message that a full window holds.
SELECT msg_id FROM {table} WHERE msg_id {beyond} {after} ORDER BY msg_id {direction} OFFSET {look} - 1 LIMIT 1
