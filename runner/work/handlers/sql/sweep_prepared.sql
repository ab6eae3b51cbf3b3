-- As sweep.sql, and also true when a statement was prepared.
SELECT pg_catalog.pg_advisory_unlock_all(),
    pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0
        OR EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql)
