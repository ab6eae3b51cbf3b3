CREATE SCHEMA shop;
CREATE TABLE shop.customers (id int PRIMARY KEY, email text NOT NULL);
CREATE TABLE shop.orders (id int PRIMARY KEY, total numeric NOT NULL);
CREATE TABLE shop.payments (order_id int PRIMARY KEY, total numeric NOT NULL);
