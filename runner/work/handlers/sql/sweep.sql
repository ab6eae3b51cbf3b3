-- Runs after a transaction, in the same round trip. Locks are released after the writes became visible. True
-- when temporary objects remain.
SELECT pg_catalog.pg_advisory_unlock_all(), pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0
