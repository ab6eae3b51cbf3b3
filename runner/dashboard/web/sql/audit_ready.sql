SELECT audit.oid IS NOT NULL,
       ours.oid IS NOT NULL,
       obj_description(ours.oid, 'pg_namespace'),
       current_user::text
FROM (VALUES (1)) AS one
LEFT JOIN pg_catalog.pg_namespace AS ours ON ours.nspname = 'changelane'
LEFT JOIN pg_catalog.pg_class AS audit ON audit.relnamespace = ours.oid AND audit.relname = 'audit'
