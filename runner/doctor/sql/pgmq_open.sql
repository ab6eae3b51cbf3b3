-- Rights over all queues at once: to create objects in schema pgmq, to write the list of queues, and to call
-- functions that run as their owner. Superusers, the owner of schema pgmq and owners of queues are left out.
WITH holders AS (
    SELECT nspowner AS oid FROM pg_namespace WHERE nspname = 'pgmq'
    UNION
    SELECT relowner FROM pg_class
    WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq') AND relname LIKE 'q\_%'
), places AS (
    SELECT 'SCHEMA pgmq' AS place, nspacl AS entries, ARRAY['CREATE'] AS wanted
    FROM pg_namespace WHERE nspname = 'pgmq'
    UNION ALL
    SELECT 'TABLE pgmq.meta', relacl, ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']
    FROM pg_class WHERE oid = to_regclass('pgmq.meta')
    UNION ALL
    SELECT 'FUNCTION ' || oid::regprocedure, coalesce(proacl, acldefault('f', proowner)), ARRAY['EXECUTE']
    FROM pg_proc
    WHERE prosecdef AND pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq')
)
SELECT place, CASE acl.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(acl.grantee)::text END,
    array_agg(DISTINCT acl.privilege_type ORDER BY acl.privilege_type)
FROM places, aclexplode(places.entries) AS acl
WHERE acl.privilege_type = ANY (wanted)
    AND acl.grantee NOT IN (SELECT oid FROM holders)
    AND NOT EXISTS (SELECT FROM pg_roles WHERE oid = acl.grantee AND rolsuper)
GROUP BY 1, 2
ORDER BY 1, 2
