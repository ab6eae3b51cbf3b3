-- The lock makes a later change of the row wait, so that it is sent after this. If a change came first, the
-- lock waits for it and reads the new row.
INSERT INTO pg_temp.changelane_backfill
SELECT source.*
FROM {table} AS source
WHERE {beyond} AND {within} AND ({where})
ORDER BY {names}
FOR SHARE OF source
