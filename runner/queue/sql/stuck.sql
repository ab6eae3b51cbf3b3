-- Messages that block their keys, and whether others exist than those that wait behind them.
WITH blocked AS (
    SELECT min(msg_id) AS msg_id, {key} AS key FROM {queue} AS held
    WHERE vt > statement_timestamp() AND {state} = 'blocked'
    GROUP BY {key}
)
SELECT count(*), EXISTS (
    SELECT FROM {queue} AS held
    WHERE NOT EXISTS (SELECT FROM blocked WHERE blocked.key = {key} AND blocked.msg_id <= held.msg_id)
)
FROM blocked
