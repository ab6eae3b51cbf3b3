SELECT slot_name::text AS name,
    active,
    CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_last_wal_receive_lsn(), restart_lsn)
        ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) END::float8 AS retained,
    wal_status AS status
FROM pg_replication_slots
ORDER BY slot_name
