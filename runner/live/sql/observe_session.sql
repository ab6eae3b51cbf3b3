WITH own (name) AS (VALUES ('sleepers'), ('pauses'), ('progress'), ('schedules'), ('found_rights'), ('audit'),
    ('relays'), ('workers'), ('history'), ('buckets'), ('takers')),
functions (name, public) AS (
    VALUES ('new_id', true), ('message', true), ('headers', true), ('weigh', true), ('is_large', true), ('mark_trigger', true), ('add_trace', true), ('send_all', true), ('key_only', true), ('measure', true),
        ('digest', true), ('doze', true), ('rouse', true), ('pause', false), ('resume', false),
        ('advance_schedule', true), ('send_scheduled', false), ('pause_schedule', false), ('resume_schedule', false),
        ('run_schedule', false), ('tell_relays', true), ('tell_worker', true), ('tell_history', true),
        ('fold_history', true), ('ask_worker', false), ('spend_tokens', true),
        ('begin_taking', true), ('end_taking', true), ('find_vanished', true)
)
SELECT current_setting('server_version_num')::int / 10000 AS server,
       current_database()::text AS database,
       current_user::text AS role,
       pg_backend_pid() AS pid,
       current_setting('default_transaction_read_only')::bool AS reads_only,
       pg_is_in_recovery() AS standby,
       has_database_privilege(current_database(), 'CREATE') AS creates_schemas,
       meta.oid IS NOT NULL AS has_pgmq,
       -- A role may not look up a table by name in a schema that it may not use.
       coalesce(has_schema_privilege(meta.relnamespace, 'USAGE') AND has_table_privilege(meta.oid, 'SELECT'), false)
           AS reads_queues,
       coalesce((SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = 'pgmq'), false)
           AS uses_pgmq,
       coalesce((SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = 'pgmq'), false)
           AS creates_queues,
       coalesce(
           (SELECT has_schema_privilege(oid, 'USAGE WITH GRANT OPTION') FROM pg_namespace WHERE nspname = 'pgmq'),
           false
       ) AS lends_pgmq,
       ours.oid IS NOT NULL AS has_schema,
       obj_description(ours.oid, 'pg_namespace') AS schema_comment,
       {schema_live} AS schema_live,
       (SELECT obj_description(oid, 'pg_class') FROM pg_class WHERE relnamespace = ours.oid AND relname = 'sleepers')
           AS functions_comment,
       (
           SELECT count(*) FROM pg_depend
           WHERE refclassid = 'pg_namespace'::regclass AND refobjid = ours.oid
               AND NOT (
                   classid = 'pg_class'::regclass
                   AND objid IN (
                       SELECT oid FROM pg_class
                       WHERE relnamespace = ours.oid
                           AND (relname IN (SELECT name FROM own) OR relname = 'audit_id_seq')
                   )
               )
               AND NOT (
                   classid = 'pg_proc'::regclass
                   AND objid IN (SELECT oid FROM pg_proc WHERE pronamespace = ours.oid AND proname IN (SELECT name FROM functions))
               )
       ) AS schema_objects,
       NOT EXISTS (
           SELECT name FROM own
           EXCEPT
           SELECT relname FROM pg_class WHERE relnamespace = ours.oid
       ) AND NOT EXISTS (
           SELECT name FROM functions
           EXCEPT
           SELECT proname FROM pg_proc WHERE pronamespace = ours.oid
       ) AS has_tables,
       ours.oid IS NOT NULL AND NOT EXISTS (
           SELECT FROM pg_class
           WHERE relnamespace = ours.oid AND relname IN (SELECT name FROM own WHERE name <> 'audit')
       ) AND NOT EXISTS (
           SELECT FROM pg_proc WHERE pronamespace = ours.oid AND proname IN (SELECT name FROM functions)
       ) AS emptied,
       coalesce(
           NOT has_schema_privilege('public', ours.oid, 'CREATE')
               AND NOT EXISTS (
                   SELECT FROM pg_class
                   JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
                   WHERE relnamespace = ours.oid
                       AND relname IN ('sleepers', 'pauses', 'schedules', 'relays', 'workers', 'history', 'buckets', 'takers')
                       AND (relname <> 'workers' OR attname <> 'error')
                       AND (
                       NOT has_column_privilege('public', pg_class.oid, attnum, 'SELECT')
                       OR has_table_privilege('public', pg_class.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
                   )
               ) AND NOT EXISTS (
                   SELECT FROM functions
                   JOIN pg_proc ON pronamespace = ours.oid AND proname = functions.name
                   WHERE has_function_privilege('public', pg_proc.oid, 'EXECUTE') <> functions.public
               ), false
       ) AS grants_right,
       -- The functions read one of its tables with their owner's rights.
       coalesce(has_schema_privilege(ours.oid, 'CREATE') AND has_schema_privilege(ours.oid, 'USAGE'), false)
           AS creates_functions,
       coalesce(pg_has_role(ours.nspowner, 'USAGE'), false) AS owns_schema,
       -- To become a function's owner, a role must have CREATE on the schema at that moment.
       coalesce(has_schema_privilege(ours.oid, 'CREATE WITH GRANT OPTION'), true) AS lends_schema,
       (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) AS creates_roles
FROM (VALUES (1)) AS one
LEFT JOIN pg_namespace AS ours ON ours.nspname = 'changelane'
LEFT JOIN pg_class AS meta
    ON meta.relname = 'meta' AND meta.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq')
