-- The tables that are captured, the truth about them, and the ledger of effects.
CREATE SCHEMA torture;
CREATE TABLE torture.singles (id int PRIMARY KEY, seq bigint NOT NULL, kind text NOT NULL);
CREATE TABLE torture.batches (LIKE torture.singles INCLUDING ALL);
CREATE TABLE torture.asyncs (LIKE torture.singles INCLUDING ALL);
CREATE TABLE torture.ordered (LIKE torture.singles INCLUDING ALL);
CREATE TABLE torture.blocking (LIKE torture.singles INCLUDING ALL);
CREATE TABLE torture.patient (LIKE torture.singles INCLUDING ALL);
CREATE TABLE torture.loose (LIKE torture.singles INCLUDING ALL);
CREATE TABLE torture.taken (LIKE torture.singles INCLUDING ALL);
CREATE TABLE torture.taken_batches (LIKE torture.singles INCLUDING ALL);
CREATE TABLE torture.fair (LIKE torture.singles INCLUDING ALL);
CREATE TABLE torture.merged (LIKE torture.singles INCLUDING ALL);

-- Each writer locks the row of the key that it changes, so seq ascends with the commits.
CREATE TABLE torture.keys (queue text, id int, seq bigint NOT NULL DEFAULT 0, PRIMARY KEY (queue, id));
-- Every change that committed. The change's own transaction writes the row; no route captures this table.
CREATE TABLE torture.written (queue text, id int, seq bigint, kind text NOT NULL, PRIMARY KEY (queue, id, seq));
-- It has no constraint, because an effect that happens twice must show. claim is the read_ct at the handler's start.
CREATE TABLE torture.ledger (
    n bigserial, queue text, id int, seq bigint, msg_id bigint, attempt int, claim int, pid int, txid xid8
);
-- The calls of the consumer with limits that took effect. leased_until is the value at the call's start.
CREATE TABLE torture.spans (
    queue text, id int, began timestamptz, leased_until timestamptz, ended timestamptz
);
-- The states that the merging consumer received: whether the row is gone, and how many changes were merged.
CREATE TABLE torture.states (n bigserial, id int, seq bigint, gone boolean, merged int);
-- Every message that left its queue, with its read_ct at that time.
CREATE TABLE torture.removed (queue text, msg_id bigint, claim int, txid xid8);

CREATE FUNCTION torture.write(queue text, ids int[], kinds text[], gone boolean) RETURNS void
LANGUAGE plpgsql AS $function$
#variable_conflict use_column
BEGIN
    PERFORM FROM torture.keys WHERE keys.queue = $1 AND id = ANY (ids) ORDER BY id FOR UPDATE;
    IF gone THEN
        EXECUTE format($$
            WITH removed AS (
                DELETE FROM torture.%I WHERE id = ANY ($1) RETURNING id, seq
            ), counted AS (
                UPDATE torture.keys SET seq = removed.seq + 1
                FROM removed WHERE keys.queue = $2 AND keys.id = removed.id
            )
            INSERT INTO torture.written SELECT $2, id, seq + 1, 'plain' FROM removed
        $$, $1) USING ids, $1;
    ELSE
        EXECUTE format($$
            WITH next AS (
                UPDATE torture.keys SET seq = keys.seq + 1
                FROM unnest($1, $2) AS wanted (id, kind)
                WHERE keys.queue = $3 AND keys.id = wanted.id
                RETURNING keys.id, keys.seq, wanted.kind
            ), noted AS (
                INSERT INTO torture.written SELECT $3, id, seq, kind FROM next
            )
            INSERT INTO torture.%I (id, seq, kind) SELECT id, seq, kind FROM next
            ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, kind = excluded.kind
        $$, $1) USING ids, kinds, $1;
    END IF;
END $function$;

CREATE FUNCTION torture.record(queue text, id int, seq bigint, msg_id bigint, attempt int) RETURNS void
LANGUAGE plpgsql AS $function$
BEGIN
    EXECUTE format($$
        INSERT INTO torture.ledger (queue, id, seq, msg_id, attempt, claim, pid, txid)
        VALUES ($1, $2, $3, $4, $5, (SELECT read_ct FROM pgmq.%I WHERE msg_id = $4), pg_backend_pid(),
            pg_current_xact_id())
    $$, 'q_' || $1) USING $1, $2, $3, $4, $5;
END $function$;

CREATE FUNCTION torture.note_removal() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    INSERT INTO torture.removed VALUES (TG_ARGV[0], old.msg_id, old.read_ct, pg_current_xact_id());
    RETURN NULL;
END $function$;

-- The messages in the tables of all queues. Prefix 'q_' means messages and dead letters, 'a_' means archives.
CREATE FUNCTION torture.held(prefix text) RETURNS TABLE (queue text, id int, seq bigint)
LANGUAGE plpgsql AS $function$
DECLARE name text;
BEGIN
    FOR name IN SELECT queue_name FROM pgmq.meta WHERE queue_name NOT LIKE 'ticks%' LOOP
        RETURN QUERY EXECUTE format($$
            SELECT %L, coalesce(message->'new'->>'id', message->'old'->>'id')::int,
                coalesce((message->'new'->>'seq')::bigint, (message->'old'->>'seq')::bigint + 1)
            FROM pgmq.%I
        $$, name, prefix || name);
    END LOOP;
END $function$;
