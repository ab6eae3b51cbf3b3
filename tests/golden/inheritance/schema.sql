CREATE TABLE animals (id int PRIMARY KEY, name text);
CREATE TABLE cats (lives int) INHERITS (animals);
