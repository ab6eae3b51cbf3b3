DROP ROLE IF EXISTS golden_capture;
CREATE SCHEMA rules;
CREATE FUNCTION rules.wanted(text) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$ SELECT $1 <> 'draft' $$;
CREATE TABLE orders (id bigint PRIMARY KEY, status text NOT NULL);
