-- The named roles, and those with a right on a queue. Rights by PUBLIC or a membership count, too.
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
       ) AS barred,
       role.rolcanlogin AS logs_in,
       ARRAY(
           SELECT member.rolname::text
           FROM pg_auth_members AS held
           JOIN pg_roles AS member ON member.oid = held.member
           WHERE held.roleid = role.oid
               AND NOT EXISTS (
                   SELECT FROM pg_class
                   WHERE relnamespace = pgmq.oid AND relname LIKE 'q\_%%' AND pg_has_role(member.oid, relowner, 'MEMBER')
               )
       ) AS members
FROM pg_roles AS role
LEFT JOIN pg_namespace AS pgmq ON pgmq.nspname = 'pgmq'
WHERE role.rolname = ANY (%(roles)s)
ORDER BY role.rolname
