-- Sessions and slots that keep dead rows of this database, by snapshot or transaction id, the oldest first.
-- The snapshot of a vacuum keeps no rows. The age in transactions is null if the holder has neither.
SELECT kind, name, state, seconds, behind
FROM (
    SELECT CASE backend_type WHEN 'walsender' THEN 'standby' ELSE 'backend' END AS kind,
        format('%s %s', CASE backend_type WHEN 'walsender' THEN 'standby' ELSE 'pid' END,
            CASE backend_type WHEN 'walsender' THEN application_name ELSE concat_ws(' ', pid::text,
                format('(%s)', concat_ws(', ', 'role ' || usename, nullif(application_name, '')))) END) AS name,
        state,
        CASE WHEN state LIKE 'idle in transaction%' THEN clock_timestamp() - state_change
            ELSE clock_timestamp() - xact_start END AS seconds,
        greatest(age(backend_xmin), age(backend_xid)) AS behind
    FROM pg_stat_activity
    WHERE pid <> pg_backend_pid()
        AND (datname = current_database() OR backend_type = 'walsender')
        AND backend_type <> 'autovacuum worker'
        AND (state LIKE 'idle in transaction%' OR backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
    UNION ALL
    SELECT 'prepared', gid, NULL, clock_timestamp() - prepared, age(transaction)
    FROM pg_prepared_xacts
    WHERE database = current_database()
    UNION ALL
    SELECT 'slot', slot_name, NULL, NULL, age(xmin)
    FROM pg_replication_slots
    WHERE xmin IS NOT NULL
) AS holder
ORDER BY behind DESC NULLS LAST, seconds DESC NULLS LAST, name
