-- The roles that capture functions run as, now or after apply: their other rights, and the owners who
-- could make code run as them.
WITH RECURSIVE bearer AS (
    SELECT class.oid, class.relowner
    FROM unnest(%(schemas)s::text[], %(tables)s::text[]) AS wanted (schema, name)
    JOIN pg_namespace AS home ON home.nspname = wanted.schema
    JOIN pg_class AS class ON class.relnamespace = home.oid AND class.relname = wanted.name
), held (type) AS (
    SELECT atttypid FROM bearer JOIN pg_attribute ON attrelid = bearer.oid
    WHERE attnum > 0 AND NOT attisdropped
    UNION
    -- The base type of a domain, the elements of an array, the fields of a composite.
    SELECT part.type FROM held
    JOIN pg_type AS whole ON whole.oid = held.type
    CROSS JOIN LATERAL (
        SELECT unnest(ARRAY[whole.typbasetype, whole.typelem]) AS type
        UNION ALL
        SELECT atttypid FROM pg_attribute
        WHERE whole.typtype = 'c' AND attrelid = whole.typrelid AND attnum > 0 AND NOT attisdropped
    ) AS part
    WHERE part.type <> 0
), maker AS (
    SELECT relowner AS oid FROM bearer
    UNION
    SELECT typowner FROM held JOIN pg_type ON pg_type.oid = held.type
)
SELECT role.rolname::text AS name,
       role.rolsuper AS superuser,
       array_remove(ARRAY[
           CASE WHEN role.rolsuper THEN 'is a superuser' END,
           CASE WHEN role.rolcanlogin THEN 'can log in' END,
           CASE WHEN role.rolcreaterole THEN 'may create roles' END,
           CASE WHEN role.rolcreatedb THEN 'may create databases' END,
           CASE WHEN role.rolreplication THEN 'may replicate' END,
           CASE WHEN role.rolbypassrls THEN 'bypasses row security' END,
           (
               SELECT 'is a member of ' || string_agg(quote_ident(parent.rolname), ', ' ORDER BY parent.rolname)
               FROM pg_auth_members AS membership
               JOIN pg_roles AS parent ON parent.oid = membership.roleid
               WHERE membership.member = role.oid
           ),
           (
               SELECT 'owns ' || string_agg(spelled, ', ')
               FROM (
                   SELECT class.oid::regclass::text AS spelled FROM pg_class AS class
                   WHERE class.relowner = role.oid AND class.relkind IN ('r', 'v', 'm', 'S', 'f', 'p')
                   ORDER BY 1 LIMIT 3
               ) AS owned
           )
       ], NULL) AS powers,
       ARRAY(
           SELECT DISTINCT owner.rolname::text FROM maker JOIN pg_roles AS owner ON owner.oid = maker.oid
           WHERE NOT pg_has_role(owner.oid, role.oid, 'MEMBER')
           ORDER BY 1
       ) AS makers,
       CASE
           WHEN current_setting('server_version_num')::int >= 160000
           THEN pg_has_role(role.oid, 'USAGE') AND pg_has_role(role.oid, 'SET')
           ELSE pg_has_role(role.oid, 'USAGE')
       END AS member,
       pg_has_role(role.oid, 'MEMBER WITH ADMIN OPTION')
           OR (
               current_setting('server_version_num')::int < 160000 AND NOT role.rolsuper
               AND (SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user)
           ) AS joinable
FROM pg_roles AS role
WHERE role.rolname = ANY (%(roles)s::text[])
ORDER BY role.rolname
