-- Schema pgmq_public. An empty grantee is PUBLIC; the owners' own rights are left out.
SELECT obj_description(schema.oid, 'pg_namespace') AS comment,
       {live} AS live,
       pg_has_role(schema.nspowner, 'USAGE') AND NOT EXISTS (
           SELECT FROM pg_proc
           WHERE pronamespace = schema.oid AND proname = ANY (%(names)s) AND NOT pg_has_role(proowner, 'USAGE')
       ) AS owned,
       (
           SELECT count(DISTINCT proname) = cardinality(%(names)s) FROM pg_proc
           WHERE pronamespace = schema.oid AND proname = ANY (%(names)s)
       ) AS complete,
       (
           SELECT coalesce(jsonb_agg(jsonb_build_array(
               CASE acl.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(acl.grantee) END,
               acl.privilege_type, place.name
           )), '[]')
           FROM (
               SELECT '' AS name, coalesce(schema.nspacl, acldefault('n', schema.nspowner)) AS entries,
                   schema.nspowner AS owner
               UNION ALL
               SELECT proname, coalesce(proacl, acldefault('f', proowner)), proowner
               FROM pg_proc WHERE pronamespace = schema.oid AND proname = ANY (%(names)s)
           ) AS place
           CROSS JOIN LATERAL aclexplode(place.entries) AS acl
           WHERE acl.grantee <> place.owner
       ) AS grants
FROM pg_namespace AS schema
WHERE schema.nspname = 'pgmq_public'
