CREATE TABLE customers (id int PRIMARY KEY, name text, email text, password text);
