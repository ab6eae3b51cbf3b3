-- After the end of a transaction, in the same round trip. Locks are let go once its writes can be seen. True where
-- temporary objects are left.
SELECT pg_catalog.pg_advisory_unlock_all(), pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0
