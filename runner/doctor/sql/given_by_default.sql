-- Default privileges (ALTER DEFAULT PRIVILEGES) that new tables and sequences of queues get from their
-- creators.
SELECT pg_get_userbyid(defaults.defaclrole)::text,
    defaults.defaclnamespace <> 0,
    CASE defaults.defaclobjtype WHEN 'S' THEN 'SEQUENCES' ELSE 'TABLES' END,
    CASE acl.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(acl.grantee)::text END
FROM pg_default_acl AS defaults, aclexplode(defaults.defaclacl) AS acl
WHERE defaults.defaclobjtype IN ('r', 'S')
    AND defaults.defaclnamespace IN (0, (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq'))
    AND acl.grantee <> defaults.defaclrole
    AND acl.grantee <> 'pg_monitor'::regrole
    AND defaults.defaclrole IN (
        SELECT relowner FROM pg_class
        WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq') AND relname LIKE 'q\_%'
    )
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4
