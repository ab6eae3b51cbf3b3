-- As due, for a role to which schema changelane is closed.
SELECT {name}, extract(epoch FROM (SELECT min(vt) FROM {queue}) - clock_timestamp())::float8, false
