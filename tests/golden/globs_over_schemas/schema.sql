CREATE SCHEMA tenant_1;
CREATE SCHEMA tenant_2;
CREATE SCHEMA other;
CREATE TABLE tenant_1.orders (id int PRIMARY KEY);
CREATE TABLE tenant_2.orders (id int PRIMARY KEY);
CREATE TABLE tenant_2.order_items (order_id int, line int, PRIMARY KEY (order_id, line));
CREATE TABLE other.orders (id int PRIMARY KEY);
CREATE VIEW tenant_1.orders_open AS SELECT * FROM tenant_1.orders;
