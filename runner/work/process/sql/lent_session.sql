SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_setting('default_transaction_isolation'), setting::float8
FROM pg_catalog.pg_settings
WHERE name OPERATOR(pg_catalog.=) 'idle_in_transaction_session_timeout'
