SELECT (SELECT setting::int / 10000 FROM pg_settings WHERE name = 'server_version_num') AS server,
       extension.extversion::text AS version,
       home.nspname::text AS schema,
       EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_partman') AS offered,
       coalesce(has_schema_privilege(home.oid, 'USAGE') AND has_table_privilege(config.oid, 'SELECT'), false)
           AS readable,
       -- pg_partman makes a template table there for each new queue.
       coalesce(
           has_schema_privilege(home.oid, 'CREATE')
               AND has_table_privilege(config.oid, 'INSERT') AND has_table_privilege(config.oid, 'UPDATE'),
           false
       ) AS writable,
       EXISTS (
           SELECT FROM pg_proc
           WHERE pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq')
               AND proname = 'create_partitioned'
       ) AS creates,
       -- A pgmq that asks for the major version supports 5.
       EXISTS (
           SELECT FROM pg_proc
           WHERE pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq')
               AND proname = '_get_pg_partman_major_version'
       ) AS asks_version
FROM (VALUES (1)) AS one
LEFT JOIN pg_extension AS extension ON extension.extname = 'pg_partman'
LEFT JOIN pg_namespace AS home ON home.oid = extension.extnamespace
LEFT JOIN pg_class AS config ON config.relnamespace = home.oid AND config.relname = 'part_config'
