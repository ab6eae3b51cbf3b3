-- The index on vt finds letters that nobody has read, and others once they are among the first. A letter
-- under lease stays.
DELETE FROM {letters}
WHERE msg_id = ANY (ARRAY(
    (
        SELECT msg_id FROM {letters}
        WHERE vt < statement_timestamp() - %(keep)s * interval '1 second'
            AND enqueued_at < statement_timestamp() - %(keep)s * interval '1 second'
            AND isfinite(enqueued_at)
        ORDER BY vt
        LIMIT %(limit)s
    )
    UNION
    SELECT msg_id
    FROM (SELECT msg_id, enqueued_at, vt FROM {letters} ORDER BY msg_id LIMIT %(limit)s) AS first
    WHERE enqueued_at < statement_timestamp() - %(keep)s * interval '1 second'
        AND isfinite(enqueued_at)
        AND vt <= statement_timestamp()
    LIMIT %(limit)s
))
AND enqueued_at < statement_timestamp() - %(keep)s * interval '1 second'
AND isfinite(enqueued_at)
AND vt <= statement_timestamp()
