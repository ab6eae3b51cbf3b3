SELECT namespace.nspname::text AS schema,
       class.relname::text AS name,
       class.oid::bigint AS oid,
       class.relkind::text AS kind,
       class.relispartition AS partition,
       EXISTS (SELECT FROM pg_inherits WHERE inhparent = class.oid) AS has_children,
       EXISTS (SELECT FROM pg_inherits WHERE inhrelid = class.oid) AS has_parents,
       pg_has_role(class.relowner, 'USAGE') AS owned,
       pg_get_userbyid(class.relowner)::text AS owner,
       has_schema_privilege(namespace.oid, 'USAGE') AS reachable,
       has_table_privilege(class.oid, 'TRIGGER') AS takes_triggers,
       has_table_privilege(class.oid, 'UPDATE, DELETE, TRUNCATE') AS lockable,
       -- A trigger on a partitioned table is created on each of its partitions.
       ARRAY(
           SELECT relid::regclass::text FROM pg_partition_tree(class.oid)
           WHERE class.relkind = 'p' AND relid <> class.oid AND NOT has_table_privilege(relid, 'TRIGGER')
           ORDER BY relid::regclass::text
       ) AS barred,
       ARRAY(
           SELECT attname::text
           FROM pg_index
           CROSS JOIN unnest(indkey::int2[]) WITH ORDINALITY AS key(number, position)
           JOIN pg_attribute ON attrelid = indrelid AND attnum = key.number
           WHERE indrelid = class.oid AND indisprimary AND key.position <= indnkeyatts
           ORDER BY key.position
       ) AS primary_key,
       EXISTS (
           SELECT FROM pg_index WHERE indrelid = class.oid AND indisprimary AND NOT indimmediate
       ) AS defers_primary_key,
       EXISTS (
           SELECT FROM pg_index WHERE indrelid = class.oid AND indisunique AND NOT indimmediate
       ) AS defers_unique_key,
       (
           SELECT coalesce(jsonb_object_agg(attname, format_type(atttypid, atttypmod)), '{}') FROM pg_attribute
           WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped
       ) AS columns
FROM unnest(%(schemas)s::text[], %(tables)s::text[]) AS wanted (schema, name)
JOIN pg_namespace AS namespace ON namespace.nspname = wanted.schema
JOIN pg_class AS class ON class.relnamespace = namespace.oid AND class.relname = wanted.name
ORDER BY namespace.nspname, class.relname
