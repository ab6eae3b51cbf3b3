-- Takes due messages away in a transaction that stays open until they are handled. If any of them was claimed
-- before, or fell due before a worker vanished, it takes none: those are for leases, which count. The last row
-- has no id. It says that, the last vt, and for how long the messages were due. For "since" and the array see
-- claim.sql.
WITH due AS (
    SELECT msg_id, vt, read_ct
    FROM {queue}
    WHERE vt >= %(since)s AND vt <= statement_timestamp()
    ORDER BY vt
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), taken AS (
    DELETE FROM {queue} AS held
    WHERE held.msg_id = ANY (ARRAY(SELECT msg_id FROM due))
        AND (SELECT bool_and(read_ct = 0 AND vt > %(mark)s) FROM due)
    RETURNING {returned}
){kept}
SELECT msg_id, {texts} FROM taken
UNION ALL
SELECT NULL, max(vt)::text, {waits}{none} FROM due HAVING count(*) > 0
