-- Takes the messages of each change away, all of them or none. Operators carry their schema: this runs in the
-- handler's transaction, with any search_path.
WITH mine AS MATERIALIZED (
    SELECT msg_id, read_ct, lead, size
    FROM unnest(%(msg_ids)s::bigint[], %(read_cts)s::integer[], %(leads)s::bigint[], %(sizes)s::bigint[])
        AS mine (msg_id, read_ct, lead, size)
), held AS MATERIALIZED (
    SELECT held.msg_id
    FROM {queue} AS held
    JOIN mine ON held.msg_id OPERATOR(pg_catalog.=) mine.msg_id
        AND held.read_ct OPERATOR(pg_catalog.=) mine.read_ct
    ORDER BY held.msg_id
    FOR UPDATE OF held
), whole AS MATERIALIZED (
    SELECT mine.lead AS msg_id
    FROM mine
    JOIN held ON held.msg_id OPERATOR(pg_catalog.=) mine.msg_id
    GROUP BY mine.lead, mine.size
    HAVING pg_catalog.count(*) OPERATOR(pg_catalog.=) mine.size
), gone AS (
    DELETE FROM {queue} AS held
    USING mine, whole
    WHERE held.msg_id OPERATOR(pg_catalog.=) mine.msg_id AND mine.lead OPERATOR(pg_catalog.=) whole.msg_id
    RETURNING {returned}
){then}
