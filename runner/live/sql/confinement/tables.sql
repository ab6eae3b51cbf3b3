-- The captured tables that exist, their owners, and the sequences of their columns.
SELECT namespace.nspname::text AS schema, class.relname::text AS name, owner.rolname::text AS owner,
       ARRAY(
           SELECT ARRAY[place.nspname::text, sequence.relname::text]
           FROM pg_catalog.pg_depend AS dependency
           JOIN pg_catalog.pg_class AS sequence ON sequence.oid = dependency.objid AND sequence.relkind = 'S'
           JOIN pg_catalog.pg_namespace AS place ON place.oid = sequence.relnamespace
           WHERE dependency.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
               AND dependency.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
               AND dependency.refobjid = class.oid
               AND dependency.deptype IN ('a', 'i')
       ) AS sequences
FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS captured (schema, name)
JOIN pg_catalog.pg_namespace AS namespace ON namespace.nspname = captured.schema
JOIN pg_catalog.pg_class AS class ON class.relnamespace = namespace.oid AND class.relname = captured.name
JOIN pg_catalog.pg_roles AS owner ON owner.oid = class.relowner
