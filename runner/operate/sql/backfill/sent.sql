-- Messages of this transaction, among those that are new.
SELECT count(*) FROM {queue} WHERE msg_id > %s AND message ->> 'txid' = pg_catalog.pg_current_xact_id()::text
