-- Attributes and memberships that let a stranger's SQL reach past the database: to programs and files of the
-- server, other sessions, replication, and roles that could be given any of these.
SELECT coalesce(string_agg(DISTINCT found.might, ', ' ORDER BY found.might), '') AS might
FROM pg_catalog.pg_roles AS role
CROSS JOIN LATERAL (
    VALUES
        (role.rolsuper, 'superuser'),
        (role.rolreplication, 'replication'),
        (role.rolcreaterole, 'createrole'),
        (role.rolname IN (
            'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', 'pg_signal_backend',
            'pg_signal_autovacuum_worker', 'pg_checkpoint', 'pg_read_all_data', 'pg_write_all_data', 'pg_maintain',
            'pg_create_subscription'
        ), role.rolname::text)
) AS found (holds, might)
WHERE found.holds
    -- A superuser is a member of every role, so its attribute alone is listed.
    AND CASE
        WHEN (SELECT asker.rolsuper FROM pg_catalog.pg_roles AS asker WHERE asker.rolname = %(role)s::name)
            THEN role.rolname = %(role)s::name
        ELSE pg_catalog.pg_has_role(%(role)s::name, role.oid, 'MEMBER')
    END
