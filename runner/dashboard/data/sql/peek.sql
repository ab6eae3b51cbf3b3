-- Reads the indexes of msg_id and vt only, so the time does not depend on the depth; counts stop at the cap.
-- No index serves a comparison with clock_timestamp(), because it is volatile.
-- The oldest message that is due or claimed is looked for among those due the longest, those due next, and
-- those sent first.
SELECT (SELECT count(*) FROM (SELECT FROM {queue} ORDER BY msg_id LIMIT {cap}) AS capped) AS depth,
    (SELECT CASE WHEN count(*) > 0 THEN greatest(extract(epoch FROM clock_timestamp() - min(enqueued_at)), 0)::float8 END
     FROM (
        (SELECT enqueued_at, read_ct, vt, headers FROM {queue} WHERE vt <= statement_timestamp() ORDER BY vt LIMIT {look})
        UNION ALL
        (SELECT enqueued_at, read_ct, vt, headers FROM {queue} WHERE vt > statement_timestamp() ORDER BY vt LIMIT {look})
        UNION ALL
        (SELECT enqueued_at, read_ct, vt, headers FROM {queue} ORDER BY msg_id LIMIT {look})
     ) AS first
     WHERE isfinite(enqueued_at) AND {state} IN ('available', 'leased')) AS oldest,
    (SELECT CASE WHEN isfinite(vt) THEN extract(epoch FROM clock_timestamp() - vt) END::float8
     FROM {queue} WHERE vt <= statement_timestamp() ORDER BY vt LIMIT 1) AS late,
    (SELECT ARRAY[
        count(*) FILTER (WHERE state = 'delayed'),
        count(*) FILTER (WHERE state = 'delayed' AND attempts > 0),
        count(*) FILTER (WHERE state = 'leased')
     ] FROM (
        SELECT {state} AS state, {attempts} AS attempts FROM {queue}
        WHERE vt > statement_timestamp() ORDER BY vt LIMIT {look}
     ) AS waiting) AS delayed,
    (SELECT count(*) FROM (
        SELECT {state} AS state FROM {queue} WHERE vt > statement_timestamp() ORDER BY vt DESC LIMIT {look}
     ) AS waiting WHERE state = 'blocked') AS blocked,
    ARRAY(SELECT msg_id FROM ({returning}) AS back ORDER BY msg_id LIMIT {named}) AS returning
