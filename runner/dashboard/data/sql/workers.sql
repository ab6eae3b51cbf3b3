-- Each worker process has exactly one session of the plain name; its consumers' sessions add their queue's name.
SELECT application_name, count(*)::int FROM pg_catalog.pg_stat_activity
WHERE datname = current_database() AND starts_with(application_name, 'changelane work')
GROUP BY application_name
