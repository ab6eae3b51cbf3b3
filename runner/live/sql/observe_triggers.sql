-- Clones on partitions (tgparentid) follow their parent, unless somebody changed when one fires: a stray. A
-- trigger with our name on our table is listed whatever function it calls, because CREATE OR REPLACE would
-- overwrite it.
WITH RECURSIVE clones AS (
    SELECT tgparentid AS root, tgrelid, tgenabled FROM pg_trigger WHERE tgparentid <> 0
    UNION ALL
    SELECT parent.tgparentid, clones.tgrelid, clones.tgenabled
    FROM clones
    JOIN pg_trigger AS parent ON parent.oid = clones.root
    WHERE parent.tgparentid <> 0
), strays AS (
    SELECT clones.root, array_agg(clones.tgrelid::regclass::text ORDER BY clones.tgrelid::regclass::text) AS partitions
    FROM clones
    JOIN pg_trigger AS parent ON parent.oid = clones.root AND parent.tgparentid = 0
    WHERE clones.tgenabled <> parent.tgenabled
    GROUP BY clones.root
)
SELECT trigger.tgname::text AS name,
       namespace.nspname::text AS schema,
       class.relname::text AS table,
       class.relkind::text AS relation,
       function_namespace.nspname || '.' || proc.proname AS function,
       trigger.tgtype::int AS type,
       trigger.tgenabled::text AS enabled,
       trigger.tgoldtable::text AS old_table,
       trigger.tgnewtable::text AS new_table,
       trigger.tgconstraint <> 0 AS constraint,
       trigger.tgqual IS NOT NULL AS conditional,
       coalesce(strays.partitions, '{}') AS strays,
       cardinality(trigger.tgattr::smallint[]) AS columns,
       pg_has_role(class.relowner, 'USAGE') AS owned,
       pg_get_userbyid(class.relowner)::text AS owner,
       comment.description AS comment,
       function_comment.description AS function_comment
FROM pg_trigger AS trigger
JOIN pg_class AS class ON class.oid = trigger.tgrelid
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
JOIN pg_proc AS proc ON proc.oid = trigger.tgfoid
JOIN pg_namespace AS function_namespace ON function_namespace.oid = proc.pronamespace
LEFT JOIN strays ON strays.root = trigger.oid
LEFT JOIN pg_description AS comment
    ON comment.objoid = trigger.oid AND comment.classoid = 'pg_trigger'::regclass AND comment.objsubid = 0
LEFT JOIN pg_description AS function_comment
    ON function_comment.objoid = proc.oid AND function_comment.classoid = 'pg_proc'::regclass
    AND function_comment.objsubid = 0 AND function_namespace.nspname = 'changelane'
WHERE NOT trigger.tgisinternal
    AND trigger.tgparentid = 0
    AND (
        function_namespace.nspname = 'changelane'
        OR (namespace.nspname, class.relname, trigger.tgname) IN (
            SELECT wanted.schema, wanted.name, wanted.trigger
            FROM unnest(%(schemas)s::text[], %(tables)s::text[], %(names)s::text[])
                AS wanted(schema, name, trigger)
        )
    )
ORDER BY namespace.nspname, class.relname, trigger.tgname
