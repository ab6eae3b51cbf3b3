set -e
changelane db start
psql -q -v ON_ERROR_STOP=1 -f schema.sql "$(changelane db url)"
changelane inspect
changelane generate
changelane apply --yes
psql -q -v ON_ERROR_STOP=1 "$(changelane db url)" <<'SQL'
INSERT INTO shop.orders SELECT id, -1 FROM generate_series(1, 9) AS id;
SQL
changelane work --drain
