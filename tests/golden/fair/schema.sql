CREATE TABLE orders (id int PRIMARY KEY, status text, total numeric(12, 2));
