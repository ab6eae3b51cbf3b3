-- The array keeps the planner from reading the whole archive.
DELETE FROM {archive}
WHERE ctid = ANY (ARRAY(
    SELECT ctid
    FROM {archive}
    WHERE archived_at < statement_timestamp() - %(keep)s * interval '1 second'
    ORDER BY archived_at
    LIMIT %(limit)s
))
