-- How many transactions the oldest snapshot lies back that keeps this database's dead rows from being removed.
SELECT coalesce(max(age(oldest)), 0)::float8
FROM (
    SELECT unnest(ARRAY[backend_xmin, backend_xid]) AS oldest
    FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND (datid IS NULL OR datname = current_database())
    UNION ALL
    SELECT xmin FROM pg_replication_slots
    UNION ALL
    SELECT transaction FROM pg_prepared_xacts WHERE database = current_database()
) AS held
WHERE oldest IS NOT NULL
