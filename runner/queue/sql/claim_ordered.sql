-- The statement claims only the first message of a key, and writes to none of the later ones. Three looks
-- find keys: at the messages that are due the longest; at keys that the worker names; and a walk from key to
-- key, one step each, which continues where the last walk ended. The commit does not wait for the disk, as in
-- claim.sql.
WITH RECURSIVE aged AS MATERIALIZED (
    SELECT msg_id, {key} AS key
    FROM {queue}
    WHERE vt <= statement_timestamp()
    ORDER BY vt
    LIMIT %(look)s
    FOR NO KEY UPDATE SKIP LOCKED
), walked (key, msg_id, vt, step) AS (
{walk}
), looked (key) AS (
    SELECT key FROM aged WHERE key IS NOT NULL
    UNION
    SELECT hashtextextended(name, 0) FROM unnest(%(names)s::text[]) AS name
), due AS MATERIALIZED (
    SELECT head.msg_id
    FROM looked
    CROSS JOIN LATERAL (
        SELECT msg_id, vt
        FROM {queue}
        WHERE {key} = looked.key
        ORDER BY msg_id
        LIMIT 1
    ) AS head
    WHERE head.vt <= statement_timestamp()
    UNION
    SELECT msg_id FROM aged WHERE key IS NULL
    UNION
    SELECT msg_id FROM walked WHERE vt <= statement_timestamp()
), chosen AS MATERIALIZED (
    SELECT msg_id, vt
    FROM {queue}
    WHERE msg_id = ANY (ARRAY(SELECT msg_id FROM due)) AND vt <= statement_timestamp()
    ORDER BY vt
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
), changed AS (
    UPDATE {queue} AS held
    SET {touch} read_ct = held.read_ct + (held.read_ct < 2147483647)::int,
        headers = {claimed},
        vt = clock_timestamp() + %(lease)s * interval '1 second'
    WHERE msg_id = ANY (ARRAY(SELECT msg_id FROM chosen))
    RETURNING held.msg_id, held.read_ct, {texts}
)
SELECT (SELECT count(*) FROM aged),
    (SELECT count(*) FROM aged WHERE msg_id IN (SELECT msg_id FROM due)),
    (SELECT count(*) FROM due),
    (SELECT count(*) FROM walked),
    (SELECT count(*) FROM walked WHERE vt <= statement_timestamp()),
    (SELECT max(key) FROM walked),
    (SELECT {waits} FROM chosen),
    changed.*
FROM (SELECT set_config('synchronous_commit', 'off', true)) AS hurried
LEFT JOIN changed ON true
