-- The rights that roles lack to run capture functions. A role that does not exist yet has the rights of
-- PUBLIC.
WITH wanted AS (
    SELECT given.*, coalesce(roles.oid, 0::oid) AS oid, coalesce(roles.rolsuper OR roles.rolbypassrls, false) AS bypasses
    FROM unnest(%(roles)s::text[], %(kinds)s::text[], %(schemas)s::text[], %(names)s::text[])
        AS given (role, kind, schema, name)
    LEFT JOIN pg_roles AS roles ON roles.rolname = given.role
), tables AS (
    SELECT wanted.*, class.oid AS relation, class.oid::regclass::text AS spelled, class.relowner,
           class.relforcerowsecurity AS forced,
           wanted.kind = 'queue' AND class.relrowsecurity AND NOT wanted.bypasses
               AND (class.relforcerowsecurity OR wanted.oid = 0 OR NOT pg_has_role(wanted.oid, class.relowner, 'USAGE'))
               AS held
    FROM wanted
    JOIN pg_namespace AS home ON home.nspname = wanted.schema
    JOIN pg_class AS class ON class.relnamespace = home.oid AND class.relname = wanted.name
    WHERE wanted.kind IN ('queue', 'sleepers')
), columns (kind, privilege, column_name) AS (
    VALUES ('queue', 'INSERT', 'vt'), ('queue', 'INSERT', 'message'), ('queue', 'INSERT', 'headers'),
        -- INSERT ... RETURNING msg_id needs SELECT on it.
        ('queue', 'SELECT', 'msg_id'), ('sleepers', 'SELECT', 'queue'), ('sleepers', 'SELECT', 'until')
), policies AS (
    SELECT tables.role, tables.relation, policy.polname, policy.polpermissive, policy.polcmd,
           coalesce(pg_get_expr(policy.polwithcheck, policy.polrelid), pg_get_expr(policy.polqual, policy.polrelid), 'true')
               AS rows
    FROM tables
    JOIN pg_policy AS policy ON policy.polrelid = tables.relation AND policy.polcmd IN ('a', 'r', '*')
    WHERE tables.held AND EXISTS (
        SELECT FROM unnest(policy.polroles) AS holder
        WHERE holder = 0 OR tables.oid <> 0 AND pg_has_role(tables.oid, holder, 'USAGE')
    )
)
SELECT wanted.role, wanted.kind, wanted.schema, wanted.name,
       format('use schema %%I', home.nspname) AS what,
       format('GRANT USAGE ON SCHEMA %%I TO %%I', home.nspname, wanted.role) AS fix,
       has_schema_privilege(home.oid, 'USAGE WITH GRANT OPTION') AS fixable,
       false AS held
FROM wanted
JOIN pg_namespace AS home ON home.nspname = wanted.schema
WHERE NOT has_schema_privilege(wanted.oid, home.oid, 'USAGE')
UNION
SELECT wanted.role, wanted.kind, wanted.schema, wanted.name,
       format('execute %%s', proc.oid::regprocedure),
       format('GRANT EXECUTE ON FUNCTION %%s TO %%I', proc.oid::regprocedure, wanted.role),
       pg_has_role(proc.proowner, 'USAGE'), false
FROM wanted
JOIN pg_namespace AS home ON home.nspname = wanted.schema
CROSS JOIN LATERAL (
    SELECT oid FROM pg_proc WHERE pronamespace = home.oid AND proname = wanted.name
    UNION
    SELECT oprcode FROM pg_operator WHERE oprnamespace = home.oid AND oprname = wanted.name
) AS called
JOIN pg_proc AS proc ON proc.oid = called.oid
WHERE wanted.kind = 'call' AND proc.prokind = 'f'
    -- For pgmq's senders, the overload that captures call; for other functions, any overload.
    AND (wanted.schema <> 'pgmq' OR proc.proname NOT IN ('send', 'send_batch') OR 'headers' = ANY (proc.proargnames))
    AND NOT has_function_privilege(wanted.oid, proc.oid, 'EXECUTE')
UNION
SELECT wanted.role, wanted.kind, wanted.schema, wanted.name,
       format('use sequence %%s', class.oid::regclass),
       format('GRANT USAGE ON SEQUENCE %%s TO %%I', class.oid::regclass, wanted.role),
       pg_has_role(class.relowner, 'USAGE'), false
FROM wanted
JOIN pg_namespace AS home ON home.nspname = wanted.schema
JOIN pg_class AS class ON class.relnamespace = home.oid AND class.relname = wanted.name
WHERE wanted.kind = 'call'
    AND CASE class.relkind WHEN 'S' THEN NOT has_sequence_privilege(wanted.oid, class.oid, 'USAGE') END
UNION
SELECT tables.role, tables.kind, tables.schema, tables.name,
       format('%%s (%%s) on %%s', columns.privilege, string_agg(column_name, ', '), tables.spelled),
       format('GRANT %%s (%%s) ON %%s TO %%I', columns.privilege, string_agg(column_name, ', '), tables.spelled, tables.role),
       pg_has_role(tables.relowner, 'USAGE'), false
FROM tables
JOIN columns ON columns.kind = tables.kind
JOIN pg_attribute AS attribute ON attribute.attrelid = tables.relation AND attribute.attname = columns.column_name
WHERE NOT has_column_privilege(tables.oid, tables.relation, attribute.attnum, columns.privilege)
GROUP BY tables.role, tables.kind, tables.schema, tables.name, columns.privilege, tables.spelled, tables.relowner
UNION
-- pgmq notifies of messages with the sender's rights.
SELECT tables.role, tables.kind, tables.schema, tables.name,
       'update ' || throttle.oid::regclass,
       format('GRANT SELECT, UPDATE ON %%s TO %%I', throttle.oid::regclass, tables.role),
       pg_has_role(throttle.relowner, 'USAGE'), false
FROM tables
JOIN pg_trigger AS trigger
    ON trigger.tgrelid = tables.relation AND trigger.tgname = 'trigger_notify_queue_insert_listeners'
JOIN pg_class AS throttle
    ON throttle.relname = 'notify_insert_throttle'
    AND throttle.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq')
WHERE NOT has_any_column_privilege(tables.oid, throttle.oid, 'UPDATE')
UNION
SELECT tables.role, tables.kind, tables.schema, tables.name,
       'get past row security on ' || tables.spelled,
       CASE WHEN tables.forced AND tables.oid <> 0 AND pg_has_role(tables.oid, tables.relowner, 'USAGE')
           THEN format('ALTER TABLE %%s NO FORCE ROW LEVEL SECURITY', tables.spelled)
           ELSE format(
               'CREATE POLICY changelane_sends ON %%1$s FOR INSERT TO %%2$I WITH CHECK (true);'
               ' CREATE POLICY changelane_sees ON %%1$s FOR SELECT TO %%2$I USING (enqueued_at = pg_catalog.now())',
               tables.spelled, tables.role
           )
       END,
       false, true
FROM tables
WHERE tables.held AND EXISTS (
    SELECT FROM (VALUES ('a', '{true}'::text[]), ('r', '{true,(enqueued_at = now())}')) AS command (letter, enough)
    WHERE NOT EXISTS (
        SELECT FROM policies
        WHERE policies.role = tables.role AND policies.relation = tables.relation AND policies.polpermissive
            AND policies.polcmd::text IN (command.letter, '*') AND policies.rows = ANY (command.enough)
    )
)
UNION
SELECT tables.role, tables.kind, tables.schema, tables.name,
       format('get past policy %%I on %%s', policies.polname, tables.spelled),
       format('DROP POLICY %%I ON %%s', policies.polname, tables.spelled),
       false, true
FROM tables
JOIN policies ON policies.role = tables.role AND policies.relation = tables.relation
WHERE NOT policies.polpermissive AND policies.rows <> 'true'
ORDER BY 1, 2, 3, 4, 5
