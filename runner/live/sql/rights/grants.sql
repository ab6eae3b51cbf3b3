-- Grants on each queue's table and archive, on their partitions, and on the sequences of their ids. An empty
-- role is PUBLIC, an empty column the whole relation; the owners' own rights are left out.
WITH whole AS (
    SELECT class.oid, meta.queue_name::text AS queue, class.relname LIKE 'a\_%' AS archive
    FROM pgmq.meta
    JOIN pg_class AS class ON class.relname IN ('q_' || lower(meta.queue_name), 'a_' || lower(meta.queue_name))
    WHERE class.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq')
), tables AS (
    SELECT oid, queue, archive, false AS part FROM whole
    UNION ALL
    SELECT relid, queue, archive, true FROM whole, pg_partition_tree(oid) WHERE relid <> oid
), relations AS (
    SELECT oid, queue, archive, part FROM tables
    UNION ALL
    SELECT pg_depend.objid, queue, archive, true
    FROM tables
    JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = tables.oid AND classid = 'pg_class'::regclass
    WHERE pg_depend.objid IN (SELECT oid FROM pg_class WHERE relkind = 'S')
)
SELECT relations.queue, relations.archive,
       CASE WHEN relations.part
           THEN CASE class.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || format('%I.%I', nspname, relname)
           ELSE ''
       END AS part,
       CASE acl.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(acl.grantee)::text END AS role,
       acl.privilege_type AS privilege,
       acl.is_grantable AS grantable,
       place.column
FROM relations
JOIN pg_class AS class USING (oid)
JOIN pg_namespace ON pg_namespace.oid = class.relnamespace
CROSS JOIN LATERAL (
    SELECT class.relacl AS entries, '' AS column
    UNION ALL
    SELECT attacl, attname::text FROM pg_attribute WHERE attrelid = class.oid AND attacl IS NOT NULL
) AS place
CROSS JOIN LATERAL aclexplode(place.entries) AS acl
WHERE acl.grantee <> class.relowner
ORDER BY class.relname, role, privilege, place.column
