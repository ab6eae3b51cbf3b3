-- Locks show the tables that the statements wrote to, even if no row matched. The transaction's statistics
-- show how many rows changed. A partition counts for its parents too, whose triggers fire for it.
WITH RECURSIVE written AS (
    SELECT class.oid, bool_or(lock.mode = 'AccessExclusiveLock') AS exclusive
    FROM pg_catalog.pg_locks AS lock
    JOIN pg_catalog.pg_class AS class ON class.oid = lock.relation
    JOIN pg_catalog.pg_database AS here ON here.oid = lock.database AND here.datname = current_database()
    WHERE lock.pid = pg_backend_pid()
        AND lock.locktype = 'relation'
        AND lock.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
        AND class.relkind IN ('r', 'p')
    GROUP BY class.oid
),
counted AS (
    SELECT written.oid, written.exclusive,
           coalesce(pg_catalog.pg_stat_get_xact_tuples_inserted(written.oid), 0) AS inserted,
           coalesce(pg_catalog.pg_stat_get_xact_tuples_updated(written.oid), 0) AS updated,
           coalesce(pg_catalog.pg_stat_get_xact_tuples_deleted(written.oid), 0) AS deleted
    FROM written
),
bearer AS (
    SELECT counted.oid AS source, counted.oid FROM counted
    UNION
    SELECT bearer.source, parent.inhparent
    FROM bearer
    JOIN pg_catalog.pg_inherits AS parent ON parent.inhrelid = bearer.oid
    JOIN pg_catalog.pg_class AS class ON class.oid = parent.inhparent AND class.relkind = 'p'
)
SELECT namespace.nspname::text AS schema,
       class.relname::text AS name,
       bool_or(counted.exclusive) AS exclusive,
       sum(counted.inserted)::bigint AS inserted,
       sum(counted.updated)::bigint AS updated,
       sum(counted.deleted)::bigint AS deleted
FROM bearer
JOIN counted ON counted.oid = bearer.source
JOIN pg_catalog.pg_class AS class ON class.oid = bearer.oid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
GROUP BY namespace.nspname, class.relname
ORDER BY namespace.nspname, class.relname
