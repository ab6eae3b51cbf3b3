-- version counts the changes of a row.
CREATE TABLE accounts (id int PRIMARY KEY, version int NOT NULL);
