SELECT trigger.tgname::text AS name, namespace.nspname::text AS schema, class.relname::text AS table,
       trigger.tgenabled::text AS enabled,
       pg_catalog.obj_description(trigger.tgfoid, 'pg_proc') AS comment
FROM pg_catalog.pg_trigger AS trigger
JOIN pg_catalog.pg_class AS class ON class.oid = trigger.tgrelid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE trigger.tgname = ANY (%(names)s::text[]) AND trigger.tgparentid = 0
