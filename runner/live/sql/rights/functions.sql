SELECT proc.proname::text AS name,
       proc.oid::regprocedure::text AS signature,
       pg_get_userbyid(proc.proowner)::text AS owner,
       ARRAY(
           SELECT pg_get_userbyid(grantee)::text
           FROM aclexplode(proc.proacl) WHERE grantee NOT IN (0, proc.proowner)
       ) AS callers,
       {live} AS live,
       obj_description(proc.oid, 'pg_proc') AS comment
FROM pg_proc AS proc
WHERE proc.pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'changelane_access')
ORDER BY proc.proname
