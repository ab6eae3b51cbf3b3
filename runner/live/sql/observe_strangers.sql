-- Schema changelane and its objects whose owner may not act as a role that capture functions run as: code in
-- them would run as that role. Trigger functions are left out, because only their own triggers call them.
-- Objects of the bootstrap superuser have no entry in pg_shdepend.
WITH definers AS (
    SELECT oid, rolname FROM pg_roles WHERE rolname = ANY (%(roles)s::text[])
), things AS (
    SELECT 'schema changelane' AS what, nspowner AS owner,
           (SELECT format('ALTER SCHEMA changelane OWNER TO %%I', current_user)) AS fix
    FROM pg_namespace WHERE nspname = 'changelane'
    UNION ALL
    SELECT found.type || ' ' || found.identity, own.refobjid, format('DROP %%s %%s', upper(found.type), found.identity)
    FROM pg_depend AS part
    JOIN pg_shdepend AS own
        ON own.classid = part.classid AND own.objid = part.objid AND own.deptype = 'o'
        AND own.refclassid = 'pg_authid'::regclass
        AND own.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    CROSS JOIN LATERAL pg_identify_object(part.classid, part.objid, 0) AS found
    WHERE part.refclassid = 'pg_namespace'::regclass
        AND part.refobjid = (SELECT oid FROM pg_namespace WHERE nspname = 'changelane')
        AND NOT EXISTS (
            SELECT FROM pg_proc
            WHERE part.classid = 'pg_proc'::regclass AND oid = part.objid
                AND prorettype = 'trigger'::regtype AND pronargs = 0
        )
)
SELECT DISTINCT things.what, owner.rolname::text AS owner, definers.rolname::text AS definer, things.fix
FROM things
JOIN pg_roles AS owner ON owner.oid = things.owner
CROSS JOIN definers
WHERE NOT pg_has_role(owner.oid, definers.oid, 'MEMBER')
ORDER BY 1, 2, 3
