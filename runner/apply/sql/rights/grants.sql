-- An empty role is PUBLIC, an empty column the whole table; what owners hold of themselves is left out.
SELECT substr(class.relname, 3)::text AS queue,
       class.relname LIKE 'a\_%' AS archive,
       CASE acl.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(acl.grantee)::text END AS role,
       acl.privilege_type AS privilege,
       place.column
FROM pgmq.meta
JOIN pg_class AS class ON class.relname IN ('q_' || lower(meta.queue_name), 'a_' || lower(meta.queue_name))
CROSS JOIN LATERAL (
    SELECT class.relacl AS entries, '' AS column
    UNION ALL
    SELECT attacl, attname::text FROM pg_attribute WHERE attrelid = class.oid AND attacl IS NOT NULL
) AS place
CROSS JOIN LATERAL aclexplode(place.entries) AS acl
WHERE class.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq') AND acl.grantee <> class.relowner
ORDER BY class.relname, role, privilege, place.column
