-- Ids that were made of the time, for archived messages whose own was taken, are beyond any sequence.
SELECT max(msg_id) FROM {table} WHERE msg_id < 1000000000000000
