SELECT lock.pid, activity.application_name, clock_timestamp() - activity.query_start AS age, activity.state
FROM pg_catalog.pg_locks AS lock
LEFT JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = lock.pid
WHERE lock.locktype = 'advisory'
    AND lock.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    AND lock.objsubid = 1
    AND (lock.classid::bigint << 32) | lock.objid::bigint = %(key)s
    AND lock.granted
