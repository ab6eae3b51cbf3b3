SELECT proc.proname::text AS name,
       proc.prosrc AS body,
       language.lanname::text AS language,
       proc.prosecdef AS security_definer,
       coalesce(proc.proconfig, '{}') AS config,
       EXISTS (
           SELECT FROM aclexplode(coalesce(proc.proacl, acldefault('f', proc.proowner))) AS acl
           WHERE acl.grantee = 0 AND acl.privilege_type = 'EXECUTE'
       ) AS public_execute,
       pg_get_userbyid(proc.proowner)::text AS owner,
       pg_has_role(proc.proowner, 'USAGE') AS owned,
       has_schema_privilege(proc.proowner, proc.pronamespace, 'CREATE') AS owner_creates,
       comment.description AS comment
FROM pg_proc AS proc
JOIN pg_language AS language ON language.oid = proc.prolang
-- A join: obj_description would be a query for each function.
LEFT JOIN pg_description AS comment
    ON comment.objoid = proc.oid AND comment.classoid = 'pg_proc'::regclass AND comment.objsubid = 0
WHERE proc.pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'changelane')
    AND proc.prokind = 'f'
    AND proc.pronargs = 0
ORDER BY proc.proname
