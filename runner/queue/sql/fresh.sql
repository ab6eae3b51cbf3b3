-- After a reset of the sequence, ids begin again. A message whose id the archive already has gets a new id
-- made from the time, which no sequence reaches. Operators carry their schema, for the handler's search_path.
CASE WHEN EXISTS (SELECT FROM {archive} AS older WHERE older.msg_id OPERATOR(pg_catalog.=) moved.msg_id)
    THEN ((EXTRACT(epoch FROM pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000000)::bigint
        OPERATOR(pg_catalog.*) 100) OPERATOR(pg_catalog.+) ((pg_catalog.row_number() OVER ()
        OPERATOR(pg_catalog.+) pg_catalog.pg_backend_pid()) OPERATOR(pg_catalog.%%) 100)
    ELSE moved.msg_id
END
