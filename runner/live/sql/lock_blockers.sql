-- The sessions with a lock on the table, or on a partition of it, that conflicts with ours.
SELECT DISTINCT ON (lock.pid) lock.pid,
       coalesce(nullif(activity.application_name, ''), nullif(activity.backend_type, 'client backend')),
       clock_timestamp() - activity.query_start AS age,
       activity.state
FROM pg_catalog.pg_class AS class
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
JOIN pg_catalog.pg_locks AS lock
    ON lock.relation = class.oid
    OR lock.relation IN (SELECT relid FROM pg_catalog.pg_partition_tree(class.oid))
LEFT JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = lock.pid
WHERE namespace.nspname = %(schema)s
    AND class.relname = %(table)s
    AND lock.locktype = 'relation'
    AND lock.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    AND lock.granted
    AND lock.pid IS DISTINCT FROM pg_backend_pid()
    AND (%(exclusive)s OR lock.mode NOT IN ('AccessShareLock', 'RowShareLock'))
ORDER BY lock.pid
