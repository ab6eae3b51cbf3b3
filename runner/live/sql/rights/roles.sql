-- Those named, and those that hold something of a queue. What it may by PUBLIC or a membership counts, too.
SELECT role.rolname::text AS name,
       role.rolsuper OR role.rolbypassrls AS bypasses,
       ARRAY(
           SELECT rolname::text FROM pg_roles WHERE pg_has_role(role.oid, oid, 'USAGE') AND oid <> role.oid
       ) AS memberships,
       coalesce(has_schema_privilege(role.oid, pgmq.oid, 'USAGE'), false) AS uses_pgmq,
       coalesce(has_schema_privilege(role.oid, (SELECT oid FROM pg_namespace WHERE nspname = 'changelane'), 'USAGE'),
           false) AS uses_changelane,
       ARRAY(
           SELECT DISTINCT proname::text FROM pg_proc
           WHERE pronamespace = pgmq.oid AND NOT has_function_privilege(role.oid, pg_proc.oid, 'EXECUTE')
       ) AS barred
FROM pg_roles AS role
LEFT JOIN pg_namespace AS pgmq ON pgmq.nspname = 'pgmq'
WHERE role.rolname = ANY (%(roles)s)
ORDER BY role.rolname
