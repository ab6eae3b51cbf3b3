SELECT pg_get_userbyid(nspowner)::text AS owner,
       ARRAY(SELECT rolname::text FROM pg_roles WHERE pg_has_role(nspowner, oid, 'MEMBER')) AS acts_as,
       has_schema_privilege('public', oid, 'USAGE') AS open,
       ARRAY(
           SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee)::text END
           FROM aclexplode(nspacl) WHERE privilege_type = 'CREATE' AND grantee <> nspowner
       ) AS creators
FROM pg_namespace
WHERE nspname = 'changelane_access'
