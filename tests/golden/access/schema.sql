DROP ROLE IF EXISTS golden_worker, golden_client, changelane_golden_access_cf8a1a0f;
CREATE ROLE golden_worker;
CREATE ROLE golden_client;
CREATE TABLE orders (id bigint PRIMARY KEY, tenant text NOT NULL);
