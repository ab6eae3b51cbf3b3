-- Very large ids do not come from the sequence: the archive takes an id from the time if the message's own is
-- in use.
SELECT max(msg_id) FROM {table} WHERE msg_id < 1000000000000000
