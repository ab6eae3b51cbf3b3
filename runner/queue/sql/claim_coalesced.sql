-- The statement takes whole keys: of each, the messages from its first one up to the first that is not due.
-- Looks find keys as in claim_ordered.sql. "ripe": a key that was quiet, that waited its longest, or that was
-- claimed before. The lock of a key's first message is the lock of the key. Messages of a key that another
-- transaction has locked end its run, so that none passes an earlier one. One clock for all of a key: its
-- messages fall due together. The commit does not wait for the disk, as in claim.sql.
WITH RECURSIVE aged AS MATERIALIZED (
    SELECT msg_id, {key} AS key
    FROM {queue}
    WHERE vt <= statement_timestamp()
    ORDER BY vt
    LIMIT %(look)s
), walked (key, msg_id, vt, step) AS (
{walk}
), looked (key) AS (
    SELECT key FROM aged WHERE key IS NOT NULL
    UNION
    SELECT unnest(%(keys)s::bigint[])
    UNION
    SELECT key FROM walked WHERE vt <= statement_timestamp()
), examined AS MATERIALIZED (
    SELECT looked.key, head.msg_id, wait.until IS NULL OR wait.until <= statement_timestamp() AS ripe, wait.until
    FROM looked
    CROSS JOIN LATERAL (
        SELECT msg_id, vt, read_ct
        FROM {queue}
        WHERE {key} = looked.key
        ORDER BY msg_id
        LIMIT 1
    ) AS head
{wait}
    WHERE head.vt <= statement_timestamp()
), ripe AS MATERIALIZED (
    SELECT msg_id, key FROM examined WHERE ripe
    UNION ALL
    SELECT msg_id, NULL FROM aged WHERE key IS NULL
), chosen AS MATERIALIZED (
    SELECT msg_id, vt, {key} AS key
    FROM {queue}
    WHERE msg_id = ANY (ARRAY(SELECT msg_id FROM ripe)) AND vt <= statement_timestamp()
    ORDER BY vt
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
), run AS MATERIALIZED (
    SELECT chosen.msg_id AS head, chosen.key, member.msg_id
    FROM chosen
    LEFT JOIN LATERAL (
        SELECT msg_id
        FROM {queue}
        WHERE {key} = chosen.key AND vt > statement_timestamp()
        ORDER BY {key}, msg_id
        LIMIT 1
    ) AS stop ON true
    CROSS JOIN LATERAL (
        SELECT chosen.msg_id WHERE chosen.key IS NULL
        UNION ALL
        (
            SELECT msg_id
            FROM {queue}
            WHERE {key} = chosen.key AND (stop.msg_id IS NULL OR msg_id < stop.msg_id)
            ORDER BY {key}, msg_id
            LIMIT %(most)s
        )
    ) AS member
), locked AS MATERIALIZED (
    SELECT msg_id
    FROM {queue}
    WHERE msg_id = ANY (ARRAY(SELECT msg_id FROM run)) AND vt <= statement_timestamp()
    FOR NO KEY UPDATE SKIP LOCKED
), counted AS (
    SELECT run.head, run.key, run.msg_id,
        bool_and(locked.msg_id IS NOT NULL) OVER (PARTITION BY run.head ORDER BY run.msg_id) AS unbroken,
        count(*) OVER (ORDER BY run.head) - count(*) OVER (PARTITION BY run.head) AS before
    FROM run
    LEFT JOIN locked ON locked.msg_id = run.msg_id
), taken AS MATERIALIZED (
    SELECT head, key, msg_id FROM counted WHERE unbroken AND before < %(most)s
), claimed AS (
    UPDATE {queue} AS held
    SET {touch} read_ct = held.read_ct + (held.read_ct < 2147483647)::int,
        headers = {claimed},
        vt = (SELECT clock_timestamp() + %(lease)s * interval '1 second')
    WHERE msg_id = ANY (ARRAY(SELECT msg_id FROM taken))
    RETURNING held.msg_id, held.read_ct, held.headers, held.message, held.enqueued_at
), {lead}
SELECT (SELECT count(*) FROM aged),
    (SELECT count(*) FROM aged WHERE key IS NULL OR key IN (SELECT key FROM ripe)),
    (SELECT count(*) FROM ripe),
    (SELECT count(*) FROM chosen),
    (SELECT count(DISTINCT head) FROM taken),
    (SELECT count(*) FROM walked),
    (SELECT count(*) FROM walked WHERE key IN (SELECT key FROM ripe)),
    (SELECT max(key) FROM walked),
    (
        SELECT json_agg(json_build_array(key, extract(epoch FROM until - statement_timestamp())))
        FROM examined
        WHERE NOT ripe
    ),
    (SELECT {waits} FROM chosen),
    lead.*
FROM (SELECT set_config('synchronous_commit', 'off', true)) AS hurried
LEFT JOIN lead ON true
