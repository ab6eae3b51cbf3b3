SELECT pg_catalog.current_setting('session_replication_role') AS role,
       pg_catalog.current_setting('track_counts')::boolean AS counts
