SELECT application_name, count(*)::int
FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'changelane work %'
GROUP BY application_name
