-- A statement of its own, after the one that removed the messages: its snapshot is younger than the locks that
-- the removal waited for, so it sees every follower that was parked behind them. A park ends at the message's
-- own age, so that the oldest go first whatever became of them meanwhile.
WITH turn AS MATERIALIZED (
    SELECT (
        SELECT follower.msg_id
        FROM {queue} AS follower
        WHERE {follower_key} = gone.key AND follower.msg_id > gone.msg_id
        ORDER BY follower.msg_id
        LIMIT 1
    ) AS msg_id
    FROM unnest(%(msg_ids)s::bigint[], %(keys)s::bigint[]) AS gone (msg_id, key)
), free AS MATERIALIZED (
    SELECT msg_id
    FROM {queue}
    WHERE msg_id = ANY (ARRAY(SELECT msg_id FROM turn WHERE msg_id IS NOT NULL))
        AND headers ? 'changelane-parked'
    ORDER BY msg_id
    FOR NO KEY UPDATE
)
UPDATE {queue}
SET vt = enqueued_at, headers = headers - 'changelane-parked'
WHERE msg_id = ANY (ARRAY(SELECT msg_id FROM free))
