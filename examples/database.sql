-- Runs once, when the database of docker-compose.yml is made: one role each for apply, for writers and for workers.
\getenv owner_password OWNER_PASSWORD
\getenv application_password APPLICATION_PASSWORD
\getenv worker_password WORKER_PASSWORD

CREATE ROLE shop_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE shop_application LOGIN PASSWORD :'application_password';
CREATE ROLE shop_worker LOGIN PASSWORD :'worker_password';

-- The owner has the tables that are captured, and makes the schemas of pgmq and Changelane with `apply`.
SELECT format('GRANT CREATE ON DATABASE %I TO shop_owner', current_database()) \gexec
CREATE SCHEMA shop AUTHORIZATION shop_owner;
SET ROLE shop_owner;
\ir shop/schema.sql

GRANT USAGE ON SCHEMA shop TO shop_application, shop_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.customers, shop.orders, shop.order_items TO shop_application;
-- The tables that handlers write, in the transaction that acknowledges their message.
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.receipts, shop.sales TO shop_worker;
