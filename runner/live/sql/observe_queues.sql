SELECT meta.queue_name::text AS name,
       CASE WHEN meta.is_partitioned THEN 'partitioned'
            -- Only this shows an ALTER TABLE ... SET UNLOGGED by hand.
            WHEN class.relpersistence = 'u' THEN 'unlogged'
            WHEN class.relpersistence = 'p' THEN 'logged'
            WHEN meta.is_unlogged THEN 'unlogged'
            ELSE 'logged'
       END AS kind,
       class.oid IS NOT NULL AS has_table,
       archive.oid IS NOT NULL AS has_archive,
       archive.relpersistence IS DISTINCT FROM 'u' AS archive_lasts,
       (
           SELECT coalesce(jsonb_object_agg(attname, format_type(atttypid, atttypmod)), '{}')
           FROM pg_attribute
           WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped
       ) AS columns,
       ARRAY(
           SELECT attname::text FROM pg_attribute
           WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped
               AND attnotnull AND NOT atthasdef AND attidentity = ''
           ORDER BY attnum
       ) AS demands,
       -- The index for the order of keys.
       (
           SELECT CASE WHEN place.indisvalid THEN pg_get_indexdef(place.indexrelid) ELSE 'invalid' END
           FROM pg_index AS place
           JOIN pg_class AS named ON named.oid = place.indexrelid
           WHERE place.indrelid = class.oid AND named.relname = class.relname || '_key_idx'
       ) AS key_index,
       -- The indexes for turns and limits, by the end of their names.
       (
           SELECT coalesce(
               jsonb_object_agg(
                   right(named.relname, -length(class.relname)),
                   CASE WHEN place.indisvalid THEN substring(pg_get_indexdef(place.indexrelid) FROM ' USING (.*)')
                       ELSE 'invalid' END
               ), '{}'
           )
           FROM pg_index AS place
           JOIN pg_class AS named ON named.oid = place.indexrelid
           WHERE place.indrelid = class.oid
               AND right(named.relname, -length(class.relname)) IN ('_group_idx', '_held_idx', '_lease_idx')
       ) AS claim_indexes,
       -- The indexes by which a worker finds messages.
       ARRAY(
           SELECT DISTINCT first.attname::text
           FROM pg_index AS place
           JOIN pg_attribute AS first ON first.attrelid = place.indrelid AND first.attnum = place.indkey[0]
           WHERE place.indrelid = class.oid AND place.indisvalid
       ) AS indexed,
       -- The settings of apply, on each table that holds rows.
       ARRAY(
           SELECT DISTINCT coalesce(
               (SELECT string_agg(option, ' ' ORDER BY option)
                FROM unnest(part.reloptions) AS option
                WHERE option ~ '^autovacuum_(enabled|vacuum_(cost_delay|scale_factor|threshold))='),
               ''
           )
           FROM pg_class AS part
           WHERE part.oid = class.oid AND part.relkind = 'r'
               OR part.oid IN (SELECT relid FROM pg_partition_tree(class.oid) WHERE isleaf)
       ) AS autovacuum,
       -- From Postgres 15 on, the sequence of an unlogged table restarts after a crash.
       NOT EXISTS (
           SELECT FROM pg_depend AS owned
           JOIN pg_class AS sequence ON sequence.oid = owned.objid
           WHERE owned.classid = 'pg_class'::regclass AND owned.refclassid = 'pg_class'::regclass
               AND owned.refobjid = class.oid AND sequence.relkind = 'S' AND sequence.relpersistence = 'u'
       ) AS lasting_ids,
       EXISTS (
           SELECT FROM pg_index AS place
           JOIN pg_attribute AS first ON first.attrelid = place.indrelid AND first.attnum = place.indkey[0]
           WHERE place.indrelid = archive.oid AND place.indisvalid AND first.attname = 'archived_at'
       ) AS archive_index,
       coalesce(pg_relation_size(archive.oid), 0) + coalesce(
           (SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree(archive.oid) WHERE isleaf), 0
       ) > 0 AS archived,
       -- INSERT ... RETURNING msg_id needs SELECT on it.
       coalesce(
           has_any_column_privilege(class.oid, 'INSERT') AND has_any_column_privilege(class.oid, 'SELECT')
               AND (NOT row_security_active(class.oid) OR EXISTS (
                   SELECT FROM pg_policy AS policy, unnest(policy.polroles) AS holder
                   WHERE policy.polrelid = class.oid AND policy.polcmd IN ('a', '*') AND policy.polpermissive
                       AND CASE holder WHEN 0 THEN true ELSE pg_has_role(holder, 'USAGE') END
               )), false
       ) AS inserts,
       coalesce(pg_has_role(class.relowner, 'USAGE'), false) AS owned,
       obj_description(class.oid, 'pg_class') AS comment
FROM pgmq.meta
LEFT JOIN pg_class AS class
    ON class.relname = 'q_' || lower(meta.queue_name)
    AND class.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq')
LEFT JOIN pg_class AS archive
    ON archive.relname = 'a_' || lower(meta.queue_name)
    AND archive.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq')
ORDER BY meta.queue_name
