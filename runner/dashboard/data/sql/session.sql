-- Reads the catalog only, which is open to every role.
SELECT current_user::text AS role,
       current_database()::text AS database,
       current_setting('server_version') AS server,
       current_setting('track_counts')::boolean AS counts,
       pg_is_in_recovery() AS standby,
       pgmq.oid IS NOT NULL AS has_pgmq,
       coalesce(has_schema_privilege(pgmq.oid, 'USAGE'), false) AS uses_pgmq,
       coalesce(has_table_privilege(meta.oid, 'SELECT'), false) AS reads_meta,
       meta.oid IS NOT NULL AS has_meta,
       coalesce(has_schema_privilege(ours.oid, 'USAGE') AND has_table_privilege(audit.oid, 'SELECT'), false)
           AS reads_audit,
       audit.oid IS NOT NULL AS has_audit,
       coalesce(has_schema_privilege(ours.oid, 'USAGE') AND has_column_privilege(pauses.oid, 'queue', 'SELECT'), false)
           AS reads_pauses
FROM (VALUES (1)) AS one
LEFT JOIN pg_catalog.pg_namespace AS pgmq ON pgmq.nspname = 'pgmq'
LEFT JOIN pg_catalog.pg_class AS meta ON meta.relnamespace = pgmq.oid AND meta.relname = 'meta'
LEFT JOIN pg_catalog.pg_namespace AS ours ON ours.nspname = 'changelane'
LEFT JOIN pg_catalog.pg_class AS audit ON audit.relnamespace = ours.oid AND audit.relname = 'audit'
LEFT JOIN pg_catalog.pg_class AS pauses ON pauses.relnamespace = ours.oid AND pauses.relname = 'pauses'
