-- Only the first message of a key is claimed. A later one that falls due before its turn is parked: its
-- predecessor is locked against removal until this commits, so that whoever removes it sees the parked one and
-- makes it due. Where the predecessor is being removed at this moment, the message just naps.
-- A park ends by itself, after as long as the message has waited already: a turn that was lost costs time, not
-- the message, and one that waits long is looked at few times.
-- Its commit does not wait for the disk, as that of claim.sql.
WITH due AS MATERIALIZED (
    SELECT msg_id, {key} AS key
    FROM {queue}
    WHERE vt <= statement_timestamp()
    ORDER BY vt
    LIMIT %(look)s
    FOR NO KEY UPDATE SKIP LOCKED
), placed AS MATERIALIZED (
    SELECT due.msg_id, (
        SELECT earlier.msg_id
        FROM {queue} AS earlier
        WHERE {earlier_key} = due.key AND earlier.msg_id < due.msg_id
        ORDER BY earlier.msg_id DESC
        LIMIT 1
    ) AS predecessor
    FROM due
), kept AS MATERIALIZED (
    SELECT msg_id
    FROM {queue}
    WHERE msg_id = ANY (ARRAY(SELECT predecessor FROM placed WHERE predecessor IS NOT NULL))
    FOR KEY SHARE SKIP LOCKED
), ranked AS (
    SELECT placed.msg_id,
        placed.predecessor IS NULL AS first,
        kept.msg_id IS NOT NULL AS parked,
        row_number() OVER (PARTITION BY placed.predecessor IS NULL ORDER BY placed.msg_id) AS rank
    FROM placed
    LEFT JOIN kept ON kept.msg_id = placed.predecessor
), chosen AS MATERIALIZED (
    SELECT msg_id, first, parked FROM ranked WHERE NOT first OR rank <= %(limit)s
), changed AS (
    UPDATE {queue} AS held
    SET {touch} read_ct = held.read_ct + chosen.first::int,
        vt = clock_timestamp() + CASE
            WHEN chosen.first THEN %(lease)s * interval '1 second'
            WHEN chosen.parked THEN greatest(interval '1 minute', clock_timestamp() - held.enqueued_at)
            ELSE interval '50 ms'
        END,
        headers = CASE
            WHEN chosen.first THEN held.headers - 'changelane-parked'
            WHEN chosen.parked THEN held.headers || '{{"changelane-parked": true}}'
            ELSE held.headers
        END
    FROM chosen
    WHERE held.msg_id = chosen.msg_id AND held.msg_id = ANY (ARRAY(SELECT msg_id FROM chosen))
    RETURNING held.msg_id, held.read_ct, chosen.first,
        CASE WHEN chosen.first THEN held.message::text END AS message,
        CASE WHEN chosen.first THEN held.headers::text END AS headers
)
SELECT (SELECT count(*) FROM due), msg_id, read_ct, message, headers
FROM (SELECT set_config('synchronous_commit', 'off', true)) AS hurried
LEFT JOIN changed ON changed.first
