set -e
export HOME="$PWD"
host=$(changelane db url | sed 's/.*host=\([^&]*\).*/\1/')
for name in postgres shop copy spare; do
    printf '[%s]\nhost=%s\nuser=postgres\ndbname=%s\n' "$name" "$host" "$name" >> .pg_service.conf
done
for name in shop copy spare; do
    psql -q --dbname service=postgres --command "CREATE DATABASE $name"
done
export PGSERVICE=shop
psql -q --file schema.sql
changelane inspect
changelane generate
changelane apply --yes
psql -q --command "INSERT INTO orders (customer, total) VALUES ('Ann', 12.10), ('Bob', 99.90)"
changelane work --drain
psql -q --command "INSERT INTO orders (customer, total) VALUES ('Cid', 3)"
PGSERVICE=spare psql -q --file schema.sql
PGSERVICE=spare changelane apply --yes
