-- Each worker process has exactly one session of this name.
SELECT count(*) FROM pg_catalog.pg_stat_activity
WHERE datname = current_database() AND application_name = 'changelane work'
