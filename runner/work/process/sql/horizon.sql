-- The age, in transactions, of the oldest snapshot that keeps this database's dead rows from removal, by
-- holder. The snapshot of a vacuum itself holds nothing back.
SELECT holder, coalesce(max(age(oldest)), 0)::float8
FROM unnest(ARRAY['backend', 'standby', 'slot', 'prepared']) AS holder
LEFT JOIN (
    SELECT CASE backend_type WHEN 'walsender' THEN 'standby' ELSE 'backend' END,
        unnest(ARRAY[backend_xmin, backend_xid])
    FROM pg_stat_activity
    WHERE pid <> pg_backend_pid()
        AND (datid IS NULL OR datname = current_database())
        AND backend_type <> 'autovacuum worker'
    UNION ALL
    SELECT 'slot', xmin FROM pg_replication_slots
    UNION ALL
    SELECT 'prepared', transaction FROM pg_prepared_xacts WHERE database = current_database()
) AS held (holder, oldest) USING (holder)
GROUP BY holder
