-- Locked, so that a change of the row waits and is sent after this; one that was first is waited for, and read.
INSERT INTO pg_temp.changelane_backfill
SELECT source.*
FROM {table} AS source
WHERE {beyond} AND {within} AND ({where})
ORDER BY {names}
FOR SHARE OF source
