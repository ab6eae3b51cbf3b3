-- The roles that have the rights of each role: the role itself and its members. Superusers need no
-- membership.
SELECT holder.rolname::text, role.rolname::text
FROM unnest(%(roles)s::text[]) AS name
JOIN pg_roles AS holder ON holder.rolname = name
JOIN pg_roles AS role ON pg_has_role(role.oid, holder.oid, 'USAGE')
WHERE NOT role.rolsuper AND role.rolname !~ '^pg_'
    AND has_schema_privilege(role.oid, 'pgmq', 'USAGE')
ORDER BY holder.rolname, role.rolname
