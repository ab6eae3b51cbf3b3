-- The claim goes from group to group, from the one after the last one served, once round at most. "found" counts
-- groups that may have a message now. Each of them gives as many as the others. Limits are counted and spent here,
-- and claims with limits take turns by a lock, which a statement before this one takes.
WITH RECURSIVE room AS MATERIALIZED (
    SELECT least(%(limit)s::bigint, {room}) AS free, {room_wait} AS wait
), walked (grp, vt, step, found, wrapped, allowed, wait) AS (
{walk}
), ready AS MATERIALIZED (
    SELECT grp, vt, step, allowed FROM walked WHERE vt <= statement_timestamp() AND allowed > 0
), share AS MATERIALIZED (
    SELECT greatest(1, max(room.free) / greatest(1, count(ready))) AS count FROM room LEFT JOIN ready ON true
), taken AS MATERIALIZED (
    SELECT message.msg_id, message.vt, ready.grp, ready.allowed
    FROM ready
    CROSS JOIN LATERAL (
        SELECT msg_id, vt
        FROM {queue}
        WHERE {due}
        LIMIT least(ready.allowed, (SELECT count FROM share))
        FOR UPDATE SKIP LOCKED
    ) AS message
), served AS MATERIALIZED (
    SELECT grp, count(*) AS count, min(allowed) AS allowed FROM taken GROUP BY grp
), changed AS (
    UPDATE {queue} AS held
    SET {touch} read_ct = held.read_ct + (held.read_ct < 2147483647)::int,
        headers = {claimed},
        vt = clock_timestamp() + %(lease)s * interval '1 second'
    WHERE held.msg_id = ANY (ARRAY(SELECT msg_id FROM taken))
    RETURNING held.msg_id, held.read_ct, {texts}
)
SELECT (SELECT max(step) FROM walked),
    (SELECT grp FROM walked ORDER BY step DESC LIMIT 1),
    (SELECT count(*) FROM ready),
    (SELECT count(*) FROM served),
    EXISTS (SELECT FROM served, share WHERE served.count >= share.count AND served.allowed > share.count),
    EXISTS (SELECT FROM served WHERE count >= allowed)
        OR (SELECT count(*) FROM taken) >= (SELECT free FROM room),
    least(
        (SELECT wait FROM room WHERE free <= 0),
        (SELECT min(wait) FROM walked WHERE vt <= statement_timestamp() AND allowed <= 0)
    ),
    (SELECT free <= 0 AND wait IS NULL FROM room)
        OR EXISTS (SELECT FROM walked WHERE vt <= statement_timestamp() AND allowed <= 0 AND wait IS NULL),
    {spent},
    (date_part('epoch', statement_timestamp()) - date_part('epoch', taken.vt))::float8,
    changed.*
FROM (SELECT {hurry}) AS hurried
LEFT JOIN changed ON true
LEFT JOIN taken ON taken.msg_id = changed.msg_id
