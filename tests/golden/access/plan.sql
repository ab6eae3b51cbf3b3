-- schema, queues and functions
BEGIN;
SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = 0;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL standard_conforming_strings = on;
SET LOCAL quote_all_identifiers = off;
-- Schema changelane: what workers keep there, and what all capture functions share.
-- Only one project applies at a time. Otherwise two could both find the schema missing.
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('changelane:schema', 0));
-- Even for a schema that exists, CREATE SCHEMA IF NOT EXISTS needs the right to create one.
DO $do$ BEGIN
    IF pg_catalog.to_regnamespace('changelane') IS NULL THEN
        CREATE SCHEMA changelane;
    END IF;
END $do$;
REVOKE ALL ON SCHEMA changelane FROM PUBLIC;
SET LOCAL client_min_messages = warning;
-- The time until which a worker of a queue sleeps. While it sleeps, capture functions notify it. UNLOGGED,
-- because a crash also ends the workers' connections, and so their sleep.
CREATE UNLOGGED TABLE IF NOT EXISTS changelane.sleepers (queue text PRIMARY KEY, until timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS changelane.pauses (
    queue text PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT pg_catalog.now()
);
-- The progress of backfills and replays. One that is interrupted continues from here.
CREATE TABLE IF NOT EXISTS changelane.progress (
    task text PRIMARY KEY,
    asked jsonb NOT NULL,
    after jsonb,
    done bigint NOT NULL DEFAULT 0,
    since timestamptz NOT NULL DEFAULT pg_catalog.now()
);
-- The declared schedules and their progress. A worker fills in next_at, the first run after since.
CREATE TABLE IF NOT EXISTS changelane.schedules (
    project text NOT NULL,
    name text NOT NULL,
    queue text NOT NULL,
    cron text,
    every bigint,
    timezone text NOT NULL,
    body jsonb NOT NULL,
    missed text NOT NULL,
    spec text NOT NULL,
    since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    next_at timestamptz,
    -- The last run: the time it was due, and the time it was sent.
    last_at timestamptz,
    sent_at timestamptz,
    runs bigint NOT NULL DEFAULT 0,
    passed_over bigint NOT NULL DEFAULT 0,
    paused_at timestamptz,
    PRIMARY KEY (project, name)
);
-- Rights on queues that `apply` revoked, because no access declares them. `destroy` grants them again. An
-- empty role means PUBLIC, an empty column the whole relation.
CREATE TABLE IF NOT EXISTS changelane.found_rights (
    project text NOT NULL,
    queue text NOT NULL,
    role text NOT NULL,
    relation text NOT NULL,
    privilege text NOT NULL,
    "column" text NOT NULL,
    grantable boolean NOT NULL,
    PRIMARY KEY (project, queue, role, relation, privilege, "column")
);
-- The state of relays as workers report it: a row for each queue and process, with counts since the process
-- started. UNLOGGED, because workers report again every few seconds.
CREATE UNLOGGED TABLE IF NOT EXISTS changelane.relays (
    queue text NOT NULL,
    process text NOT NULL,
    destination text NOT NULL,
    engine text NOT NULL,
    state text NOT NULL,
    -- The time at which the relay entered this state.
    since timestamptz NOT NULL,
    -- The last error of the engine, and its time.
    error text,
    error_at timestamptz,
    published bigint NOT NULL,
    confirmed bigint NOT NULL,
    refused bigint NOT NULL,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (queue, process)
);
-- The state of worker processes as they report it, and people's requests to them: to stop, or to drain.
-- UNLOGGED, because workers report again every few seconds.
CREATE UNLOGGED TABLE IF NOT EXISTS changelane.workers (
    process text PRIMARY KEY,
    host text NOT NULL,
    pid integer NOT NULL,
    version text NOT NULL,
    since timestamptz NOT NULL,
    queues text[] NOT NULL,
    state text NOT NULL,
    -- The handler calls that run now: queue, ids and number of messages, and seconds so far.
    running jsonb NOT NULL,
    -- The last failure of a message, and its time. The text may quote data, so PUBLIC cannot read it.
    error text,
    error_at timestamptz,
    told_at timestamptz NOT NULL,
    wish text
);
-- The outcomes of each queue's messages: a row for each minute of the last day, and a row for each quarter of
-- an hour of the last week. waited counts messages by waiting time, worked counts calls by duration. The
-- bounds of these counts are in Changelane's module live/history.
CREATE TABLE IF NOT EXISTS changelane.history (
    queue text NOT NULL,
    seconds integer NOT NULL,
    at timestamptz NOT NULL,
    handled bigint NOT NULL,
    failed bigint NOT NULL,
    retried bigint NOT NULL,
    -- At the end of the span: the messages in the queue, and all inserts since the statistics were reset.
    depth bigint,
    inserted bigint NOT NULL,
    waited bigint[] NOT NULL,
    worked bigint[] NOT NULL,
    PRIMARY KEY (queue, seconds, at)
);
-- How many messages may be claimed by the rate of a queue, or of one group of it: tokens, as they were at a
-- time. A row that is missing is a full bucket. UNLOGGED: a crash fills the buckets.
CREATE UNLOGGED TABLE IF NOT EXISTS changelane.buckets (
    queue text NOT NULL,
    -- The group's hash; 0 and whole for the queue.
    grp bigint NOT NULL,
    whole boolean NOT NULL,
    tokens double precision NOT NULL CHECK (tokens BETWEEN -1e12 AND 1e12),
    at timestamptz NOT NULL,
    PRIMARY KEY (queue, grp, whole)
);
-- Workers that take messages: a row for each queue and process, with the advisory lock that its session
-- holds. A row whose lock is free belongs to a worker that vanished, and keeps the time when that was found.
-- UNLOGGED, because a crash of the server ends the workers' sessions, too.
CREATE UNLOGGED TABLE IF NOT EXISTS changelane.takers (
    lock bigint PRIMARY KEY,
    queue text NOT NULL,
    vanished_at timestamptz
);
-- The log of people's actions on the dashboard. Only its owner, and roles with grants by the owner, read and
-- write it.
CREATE TABLE IF NOT EXISTS changelane.audit (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    who text NOT NULL,
    remote text NOT NULL,
    action text NOT NULL,
    queue text,
    arguments jsonb NOT NULL,
    outcome text NOT NULL
);

-- For workers. A role that may write a table may also lock it, and every captured write reads this table. So
-- workers write it only through these functions.
CREATE OR REPLACE FUNCTION changelane.doze(queues text[], seconds double precision) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $doze$
    INSERT INTO changelane.sleepers AS held (queue, until)
    SELECT queue, clock_timestamp() + least(seconds, 60) * interval '1 second'
    FROM (SELECT DISTINCT unnest(queues) AS queue) AS named
    WHERE EXISTS (
        SELECT FROM pg_class WHERE relnamespace = to_regnamespace('pgmq') AND relname = 'q_' || lower(queue)
    )
    ORDER BY queue
    ON CONFLICT (queue) DO UPDATE SET until = greatest(held.until, excluded.until);
$doze$;
CREATE OR REPLACE FUNCTION changelane.rouse(queues text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $rouse$
    UPDATE changelane.sleepers SET until = '-infinity' WHERE queue = ANY (queues);
$rouse$;

-- Writes the states of all relays of a process, and deletes those that the call does not name. It waits for
-- no lock: a row that another worker writes at this moment is skipped. A stopped relay stays for a day, or
-- until the same relay runs again.
CREATE OR REPLACE FUNCTION changelane.tell_relays(process text, relays jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $tell$
BEGIN
    DELETE FROM changelane.relays AS held
    WHERE (held.queue, held.process) IN (
        SELECT old.queue, old.process FROM changelane.relays AS old
        WHERE old.process = $1 OR (
            old.told_at < clock_timestamp() - interval '1 minute' AND (
                old.state <> 'stopped' OR old.told_at < clock_timestamp() - interval '1 day'
                OR EXISTS (
                    SELECT FROM jsonb_to_recordset($2) AS told (queue text, state text)
                    WHERE told.queue = old.queue AND told.state = 'running'
                )
            )
        )
        FOR UPDATE SKIP LOCKED
    );
    INSERT INTO changelane.relays
    SELECT told.queue, left($1, 200), left(told.destination, 100), left(told.engine, 20),
        left(told.state, 20), told.since, left(told.error, 500), told.error_at, told.published,
        told.confirmed, told.refused, clock_timestamp()
    FROM jsonb_to_recordset($2) AS told (
        queue text, destination text, engine text, state text, since timestamptz, error text,
        error_at timestamptz, published bigint, confirmed bigint, refused bigint
    )
    WHERE EXISTS (
        SELECT FROM pg_class
        WHERE relnamespace = to_regnamespace('pgmq') AND relname = 'q_' || lower(told.queue)
    )
    ON CONFLICT DO NOTHING;
END
$tell$;

-- Writes the state of a worker process, and returns people's request to it. A null state means that the
-- process ended in order. Like tell_relays, it waits for no lock. A killed process stays for a day.
CREATE OR REPLACE FUNCTION changelane.tell_worker(process text, told jsonb) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $tell$
DECLARE
    wished text;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    DELETE FROM changelane.workers AS held
    WHERE held.process IN (
        SELECT old.process FROM changelane.workers AS old
        WHERE old.told_at < clock_timestamp() - interval '1 day' OR ($2 IS NULL AND old.process = $1)
        FOR UPDATE SKIP LOCKED
    );
    IF $2 IS NULL THEN
        RETURN NULL;
    END IF;
    UPDATE changelane.workers AS held
    SET state = left(new.state, 20), running = new.running, error = left(new.error, 500),
        error_at = new.error_at, queues = new.queues[:500], told_at = clock_timestamp(), since = new.since,
        -- A request to an earlier process of the same name does not count.
        wish = CASE WHEN held.since = new.since THEN held.wish END
    FROM jsonb_to_record($2) AS new (
        state text, running jsonb, error text, error_at timestamptz, queues text[], since timestamptz
    )
    WHERE held.process IN (
        SELECT own.process FROM changelane.workers AS own WHERE own.process = $1 FOR UPDATE SKIP LOCKED
    )
    RETURNING held.wish INTO wished;
    IF NOT FOUND THEN
        INSERT INTO changelane.workers
        SELECT $1, left(new.host, 200), new.pid, left(new.version, 50), new.since, new.queues[:500],
            left(new.state, 20), new.running, left(new.error, 500), new.error_at, clock_timestamp()
        FROM jsonb_to_record($2) AS new (
            host text, pid integer, version text, since timestamptz, queues text[], state text,
            running jsonb, error text, error_at timestamptz
        )
        WHERE length($1) <= 250 AND length(new.running::text) <= 100000
            AND (SELECT count(*) FROM changelane.workers) < 1000
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN wished;
END
$tell$;
-- Adds outcomes to the row of this minute, for queues that exist.
CREATE OR REPLACE FUNCTION changelane.tell_history(told jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s'
AS $tell$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO changelane.history AS held
    SELECT new.queue, 60, date_trunc('minute', clock_timestamp()), new.handled, new.failed, new.retried,
        -- Workers count no further than this.
        CASE WHEN new.depth > 10000 THEN greatest(new.depth, numbers.estimate) ELSE new.depth END,
        numbers.inserted, new.waited[:50], new.worked[:50]
    FROM jsonb_to_recordset($1) AS new (
        queue text, handled bigint, failed bigint, retried bigint, depth bigint, waited bigint[],
        worked bigint[]
    )
    JOIN pg_class AS class
        ON class.relnamespace = to_regnamespace('pgmq') AND class.relname = 'q_' || lower(new.queue)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(pg_stat_get_live_tuples(leaf.oid)), 0)::bigint AS estimate,
            coalesce(sum(pg_stat_get_tuples_inserted(leaf.oid)), 0)::bigint AS inserted
        FROM (SELECT class.oid UNION SELECT relid FROM pg_partition_tree(class.oid)) AS leaf (oid)
    ) AS numbers
    ORDER BY new.queue
    ON CONFLICT (queue, seconds, at) DO UPDATE SET
        handled = held.handled + excluded.handled,
        failed = held.failed + excluded.failed,
        retried = held.retried + excluded.retried,
        depth = coalesce(excluded.depth, held.depth),
        inserted = greatest(held.inserted, excluded.inserted),
        waited = ARRAY(
            SELECT coalesce(one, 0) + coalesce(other, 0)
            FROM unnest(held.waited, excluded.waited) WITH ORDINALITY AS pair (one, other, place)
            ORDER BY place
        ),
        worked = ARRAY(
            SELECT coalesce(one, 0) + coalesce(other, 0)
            FROM unnest(held.worked, excluded.worked) WITH ORDINALITY AS pair (one, other, place)
            ORDER BY place
        );
END
$tell$;
-- Sums minutes older than a day to quarters of an hour, and deletes rows that are a week older. One worker
-- does it at a time.
CREATE OR REPLACE FUNCTION changelane.fold_history() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s'
AS $fold$
DECLARE
    day_ago timestamptz := date_trunc('hour', clock_timestamp()) - interval '1 day';
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('changelane:history', 0)) THEN
        RETURN;
    END IF;
    DELETE FROM changelane.history AS held WHERE held.at < day_ago - interval '7 days';
    WITH gone AS (
        DELETE FROM changelane.history AS held
        WHERE held.seconds = 60 AND held.at < day_ago
        RETURNING held.*, date_bin('15 minutes', held.at, '2000-01-01 00:00:00Z') AS start
    ), spread AS (
        SELECT queue, start, array_agg(waited ORDER BY place) AS waited,
            array_agg(worked ORDER BY place) AS worked
        FROM (
            SELECT queue, start, place, coalesce(sum(one), 0)::bigint AS waited,
                coalesce(sum(other), 0)::bigint AS worked
            FROM gone
            CROSS JOIN LATERAL unnest(gone.waited, gone.worked) WITH ORDINALITY AS pair (one, other, place)
            GROUP BY queue, start, place
        ) AS counts
        GROUP BY queue, start
    )
    INSERT INTO changelane.history
    SELECT gone.queue, 900, gone.start, sum(handled), sum(failed), sum(retried),
        (array_agg(depth ORDER BY at DESC) FILTER (WHERE depth IS NOT NULL))[1], max(inserted),
        coalesce(max(spread.waited), '{}'), coalesce(max(spread.worked), '{}')
    FROM gone
    LEFT JOIN spread ON spread.queue = gone.queue AND spread.start = gone.start
    GROUP BY gone.queue, gone.start
    ON CONFLICT DO NOTHING;
END
$fold$;

-- Takes tokens for claimed messages from buckets that fill at a rate a second, up to most. Claims of a queue
-- take turns by a lock. Buckets that have long been full are removed now and then.
CREATE OR REPLACE FUNCTION changelane.spend_tokens(
    queue text, groups bigint[], counts bigint[], whole boolean, rate double precision, most double precision
) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $spend$
    INSERT INTO changelane.buckets AS held (queue, grp, whole, tokens, at)
    SELECT $1, spent.grp, $4, $6 - spent.count, statement_timestamp()
    FROM unnest($2, $3) AS spent (grp, count)
    WHERE EXISTS (
        SELECT FROM pg_class WHERE relnamespace = to_regnamespace('pgmq') AND relname = 'q_' || lower($1)
    )
    ON CONFLICT ON CONSTRAINT buckets_pkey DO UPDATE SET
        tokens = least(
            $6, held.tokens + greatest(0, EXTRACT(epoch FROM excluded.at - held.at)::double precision) * $5
        ) - ($6 - excluded.tokens),
        at = greatest(held.at, excluded.at);
    DELETE FROM changelane.buckets AS held
    USING (SELECT random() AS chance OFFSET 0) AS thrown
    WHERE thrown.chance < 0.0005 AND held.queue = $1 AND held.at < statement_timestamp() - interval '1 hour';
$spend$;

-- Finds workers of these queues that vanished while they took messages, and returns when the last one of each
-- queue was found. What was due by then is for leases: it may be what ends workers. It waits for no row, and
-- ignores the lock of the session's own.
CREATE OR REPLACE FUNCTION changelane.find_vanished(queues text[], own bigint)
    RETURNS TABLE (queue text, vanished_at timestamptz)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $find$
BEGIN
    IF EXISTS (
        SELECT FROM changelane.takers AS held
        WHERE held.queue = ANY ($1) AND held.vanished_at IS NULL AND held.lock <> $2
            AND pg_try_advisory_xact_lock(held.lock)
    ) THEN
        UPDATE changelane.takers AS held SET vanished_at = clock_timestamp()
        WHERE held.lock IN (
            SELECT gone.lock FROM changelane.takers AS gone
            WHERE gone.queue = ANY ($1) AND gone.vanished_at IS NULL AND gone.lock <> $2
                AND pg_try_advisory_xact_lock(gone.lock)
            FOR UPDATE SKIP LOCKED
        );
        DELETE FROM changelane.takers AS held
        WHERE held.lock IN (
            SELECT old.lock FROM changelane.takers AS old
            WHERE old.queue = ANY ($1) AND old.vanished_at < (
                SELECT max(newer.vanished_at) FROM changelane.takers AS newer WHERE newer.queue = old.queue
            )
            FOR UPDATE SKIP LOCKED
        );
    END IF;
    RETURN QUERY
        SELECT held.queue, max(held.vanished_at) FROM changelane.takers AS held
        WHERE held.queue = ANY ($1) AND held.vanished_at IS NOT NULL
        GROUP BY held.queue;
END
$find$;
-- Notes that this session's process takes messages of a queue, under a lock that ends with the session.
-- Returns what find_vanished says of the queue, or -infinity; null if the worker must not take.
CREATE OR REPLACE FUNCTION changelane.begin_taking(queue text, lock bigint) RETURNS timestamptz
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $begin$
DECLARE
    found_at timestamptz;
BEGIN
    IF NOT pg_try_advisory_lock($2) THEN
        RETURN NULL;
    END IF;
    SELECT max(gone.vanished_at) INTO found_at FROM changelane.find_vanished(ARRAY[$1], $2) AS gone;
    INSERT INTO changelane.takers AS held (lock, queue)
    SELECT $2, $1
    WHERE EXISTS (
        SELECT FROM pg_class WHERE relnamespace = to_regnamespace('pgmq') AND relname = 'q_' || lower($1)
    ) AND (SELECT count(*) FROM changelane.takers) < 10000
    ON CONFLICT ON CONSTRAINT takers_pkey DO UPDATE SET queue = excluded.queue, vanished_at = NULL;
    RETURN CASE WHEN FOUND THEN coalesce(found_at, '-infinity') END;
END
$begin$;
-- Removes the note of this session's process, which ends in order. Another session's lock is not released.
CREATE OR REPLACE FUNCTION changelane.end_taking(lock bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $end$
BEGIN
    IF EXISTS (
        SELECT FROM pg_locks AS mine
        WHERE mine.locktype = 'advisory' AND mine.pid = pg_backend_pid() AND mine.objsubid = 1
            AND (mine.classid::bigint << 32 | mine.objid::bigint) = $1
    ) THEN
        DELETE FROM changelane.takers AS held WHERE held.lock = $1;
    END IF;
END
$end$;

-- For people. A role with EXECUTE can stop and start workers, and still cannot lock the tables that they
-- read. Asks a running worker process to stop or to drain. Returns false if no process of this name reported
-- lately.
CREATE OR REPLACE FUNCTION changelane.ask_worker(process text, wish text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $ask$
BEGIN
    UPDATE changelane.workers AS held SET wish = $2
    WHERE held.process = $1 AND $2 IN ('stop', 'drain')
        AND held.told_at > clock_timestamp() - interval '1 minute';
    RETURN FOUND;
END
$ask$;
CREATE OR REPLACE FUNCTION changelane.pause(queue text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $pause$
BEGIN
    INSERT INTO changelane.pauses (queue) VALUES ($1) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$pause$;
CREATE OR REPLACE FUNCTION changelane.resume(queue text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $resume$
BEGIN
    DELETE FROM changelane.pauses AS held WHERE held.queue = $1;
    RETURN FOUND;
END
$resume$;

-- For workers. Advances a schedule to its next run, and sends the run that is due in the same transaction. It
-- does nothing if another worker was first, or if the schedule was paused or changed. With a null expected it
-- sets the first run. With a null run it sends nothing.
CREATE OR REPLACE FUNCTION changelane.advance_schedule(
    project text, name text, spec text, since timestamptz, expected timestamptz, run timestamptz,
    passed_over bigint, next_at timestamptz
) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $advance$
DECLARE
    held changelane.schedules;
BEGIN
    SELECT * INTO held FROM changelane.schedules AS declared
    WHERE declared.project = $1 AND declared.name = $2 AND declared.spec = $3 AND declared.since = $4
        AND declared.next_at IS NOT DISTINCT FROM $5 AND declared.paused_at IS NULL
        AND ($5 IS NULL OR declared.next_at <= clock_timestamp())
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND OR coalesce($8 <= $5, $8 IS NULL) THEN
        RETURN false;
    END IF;
    UPDATE changelane.schedules AS declared
    SET next_at = $8,
        last_at = CASE WHEN $5 IS NULL OR $6 IS NULL THEN declared.last_at ELSE $6 END,
        sent_at = CASE WHEN $5 IS NULL OR $6 IS NULL THEN declared.sent_at ELSE clock_timestamp() END,
        runs = declared.runs + CASE WHEN $5 IS NULL OR $6 IS NULL THEN 0 ELSE 1 END,
        passed_over = declared.passed_over + $7
    WHERE declared.project = $1 AND declared.name = $2;
    IF $5 IS NOT NULL AND $6 IS NOT NULL THEN
        PERFORM changelane.send_scheduled(held, $6);
    END IF;
    RETURN true;
END
$advance$;
CREATE OR REPLACE FUNCTION changelane.send_scheduled(held changelane.schedules, run timestamptz)
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS $send$
DECLARE
    sent bigint;
BEGIN
    sent := pgmq.send(
        held.queue, held.body, jsonb_build_object('schedule', held.name, 'scheduled_at', to_jsonb(run))
    );
    PERFORM pg_notify('changelane_' || held.queue, '')
    FROM changelane.sleepers WHERE queue = held.queue AND until > clock_timestamp();
    RETURN sent;
END
$send$;
-- For people, like pause and resume of a queue. Runs that fall into a pause are not sent later.
CREATE OR REPLACE FUNCTION changelane.pause_schedule(project text, name text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $pause$
BEGIN
    UPDATE changelane.schedules AS held SET paused_at = clock_timestamp()
    WHERE held.project = $1 AND held.name = $2 AND held.paused_at IS NULL;
    RETURN FOUND;
END
$pause$;
CREATE OR REPLACE FUNCTION changelane.resume_schedule(project text, name text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $resume$
BEGIN
    UPDATE changelane.schedules AS held SET paused_at = NULL, since = clock_timestamp(), next_at = NULL
    WHERE held.project = $1 AND held.name = $2 AND held.paused_at IS NOT NULL;
    RETURN FOUND;
END
$resume$;
-- Sends one additional run now. The next run keeps its time. Returns null if there is no such schedule.
CREATE OR REPLACE FUNCTION changelane.run_schedule(project text, name text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $run$
DECLARE
    held changelane.schedules;
BEGIN
    UPDATE changelane.schedules AS declared
    SET last_at = clock_timestamp(), sent_at = clock_timestamp(), runs = declared.runs + 1
    WHERE declared.project = $1 AND declared.name = $2
    RETURNING * INTO held;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN changelane.send_scheduled(held, held.last_at);
END
$run$;

-- For capture functions, which call these as their owner. Functions in the language sql have no SET, so that
-- Postgres can inline them into the calling query. So they name the schema of each type and operator. Those
-- with RETURN are stored as parsed, so that no session has to parse them before its first captured write.

-- A new id for a change. Ids are never used twice: transaction and time distinguish the changes of one
-- database, and random digits distinguish them from those of copies and restored backups.
CREATE OR REPLACE FUNCTION changelane.new_id() RETURNS text
    LANGUAGE sql VOLATILE
    RETURN pg_catalog.pg_current_xact_id()::pg_catalog.text OPERATOR(pg_catalog.||) '-'
        OPERATOR(pg_catalog.||) (
            pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())
            OPERATOR(pg_catalog.*) '1e6'::pg_catalog.float8
        )::pg_catalog.int8::pg_catalog.text
        OPERATOR(pg_catalog.||) (
            pg_catalog.random() OPERATOR(pg_catalog.*) '9e15'::pg_catalog.float8
        )::pg_catalog.int8::pg_catalog.text;

-- The message of a change. new and old are rows of the table, or jsonb with the columns that are sent.
CREATE OR REPLACE FUNCTION changelane.message(
    op text, schema text, "table" text, key jsonb, new anyelement, old anycompatible
) RETURNS jsonb
    LANGUAGE sql VOLATILE
AS $message$
    SELECT pg_catalog.jsonb_build_object(
        'id', changelane.new_id(), 'op', $1, 'schema', $2, 'table', $3, 'key', $4, 'new', $5, 'old', $6,
        'txid', pg_catalog.pg_current_xact_id()::pg_catalog.text, 'at', pg_catalog.clock_timestamp()
    )
$message$;

-- Adds the trace of the writer's session, if it has the form of W3C Trace Context: version, trace, span and
-- flags in hex. So no session can put other text into headers.
CREATE OR REPLACE FUNCTION changelane.add_trace(headers jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $add_trace$
DECLARE
    trace CONSTANT text := current_setting('changelane.traceparent', true);
BEGIN
    IF trace ~ '^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$' THEN
        RETURN headers || jsonb_build_object('traceparent', trace);
    END IF;
    RETURN headers;
END
$add_trace$;

-- The headers of a message, with the trace of the writer's session if it set one.
CREATE OR REPLACE FUNCTION changelane.headers(headers jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    RETURN CASE
        WHEN pg_catalog.current_setting('changelane.traceparent', true) OPERATOR(pg_catalog.<>) ''
        THEN changelane.add_trace($1) ELSE $1
    END;

-- Sends the messages of a cursor to each queue in their order, and wakes workers that sleep. A batch ends at
-- 1000 messages or 8 MB, so memory stays small. grouped: the header x-pgmq-group holds the key, by which
-- workers keep the order.
CREATE OR REPLACE FUNCTION changelane.send_all(
    changes refcursor, queues text[], headers jsonb, delay integer DEFAULT 0, grouped boolean DEFAULT false
) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $send_all$
DECLARE
    fetch_some CONSTANT text := format('FETCH 50 FROM %I', changes);
    fetched integer;
    bytes bigint := 0;
    message jsonb;
    messages jsonb[] := '{}';
    queue text;
BEGIN
    LOOP
        fetched := 0;
        FOR message IN EXECUTE fetch_some LOOP
            messages := messages || message;
            bytes := bytes + pg_column_size(message);
            fetched := fetched + 1;
        END LOOP;
        IF cardinality(messages) > 0
            AND (fetched = 0 OR cardinality(messages) >= 1000 OR bytes > pg_size_bytes('8 MB'))
        THEN
            FOREACH queue IN ARRAY queues LOOP
                PERFORM pgmq.send_batch(
                    queue, messages,
                    CASE WHEN grouped THEN ARRAY(
                        SELECT headers || jsonb_build_object('x-pgmq-group', made.message ->> 'key')
                        FROM unnest(messages) WITH ORDINALITY AS made (message, position)
                        ORDER BY made.position
                    ) ELSE array_fill(headers, ARRAY[cardinality(messages)]) END,
                    clock_timestamp() + make_interval(secs => delay)
                );
            END LOOP;
            messages := '{}';
            bytes := 0;
        END IF;
        EXIT WHEN fetched = 0;
    END LOOP;
    CLOSE changes;
    PERFORM pg_notify('changelane_' || sleepers.queue, '')
    FROM changelane.sleepers
    WHERE sleepers.queue = ANY (queues) AND sleepers.until > clock_timestamp();
END
$send_all$;

-- The message of a row that is too large, or that jsonb cannot hold: only its key and its previous key.
CREATE OR REPLACE FUNCTION changelane.key_only(
    op text, schema text, "table" text, key jsonb DEFAULT NULL, old_key jsonb DEFAULT NULL
) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $key_only$
BEGIN
    RETURN changelane.message(op, schema, "table", key, CASE WHEN op <> 'delete' THEN key END, old_key)
        || '{"truncated": true}';
END
$key_only$;

-- The size of a row as JSON in bytes, or 1 GB if Postgres cannot make the JSON.
CREATE OR REPLACE FUNCTION changelane.measure(value record) RETURNS bigint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $measure$
DECLARE
    size bigint;
BEGIN
    -- The text form is cheaper to make, and shows which rows are far too large.
    size := pg_catalog.octet_length(value::pg_catalog.text);
    IF size > 67108864 THEN
        RETURN size;
    END IF;
    RETURN pg_catalog.octet_length(pg_catalog.to_jsonb(value)::pg_catalog.text);
EXCEPTION WHEN OTHERS THEN
    RETURN 1073741824;
END
$measure$;

-- The same for a single value. Returns 0 for a small one without looking further.
CREATE OR REPLACE FUNCTION changelane.weigh(value anyelement, above integer DEFAULT 131072) RETURNS bigint
    LANGUAGE sql STABLE
AS $weigh$
    SELECT CASE
        WHEN pg_catalog.pg_column_size($1) OPERATOR(pg_catalog.>) $2 THEN changelane.measure(ROW($1)) ELSE 0
    END
$weigh$;

-- Whether the JSON of a change's rows is larger than 16 MB, or cannot be made. Rows of at most 128 kB as
-- stored never are, and the stored size is cheap to read.
CREATE OR REPLACE FUNCTION changelane.is_large(value anyelement) RETURNS boolean
    LANGUAGE sql STABLE
AS $is_large$
    SELECT pg_catalog.pg_column_size($1) OPERATOR(pg_catalog.>) 131072
        AND changelane.measure($1) OPERATOR(pg_catalog.>) 16777216
$is_large$;
CREATE OR REPLACE FUNCTION changelane.is_large(old anyelement, new anyelement) RETURNS boolean
    LANGUAGE sql STABLE
AS $is_large$
    SELECT pg_catalog.pg_column_size($1) OPERATOR(pg_catalog.+) pg_catalog.pg_column_size($2)
            OPERATOR(pg_catalog.>) 131072
        AND changelane.measure($1) OPERATOR(pg_catalog.+) changelane.measure($2)
            OPERATOR(pg_catalog.>) 16777216
$is_large$;

-- The hash of a text: of its UTF8 form, if all its characters exist in Unicode.
CREATE OR REPLACE FUNCTION changelane.digest(value text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $digest$
BEGIN
    RETURN pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(value, 'UTF8')), 'hex');
EXCEPTION WHEN untranslatable_character OR character_not_in_repertoire THEN
    RETURN pg_catalog.encode(
        pg_catalog.sha256(pg_catalog.convert_to(value, pg_catalog.getdatabaseencoding())), 'hex'
    );
END
$digest$;

-- For the files of routes. Writes the COMMENT that marks a trigger as Changelane's. On a table of another
-- role it may not, and then the trigger is recognized by the function that it calls.
CREATE OR REPLACE PROCEDURE changelane.mark_trigger(trigger text, "table" text, marker text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $mark_trigger$
BEGIN
    EXECUTE format('COMMENT ON TRIGGER %I ON %s IS %L', trigger, "table", marker);
EXCEPTION WHEN insufficient_privilege THEN
    NULL;
END
$mark_trigger$;

-- The rights on the schema: for owners of capture functions and for workers, independent of default
-- privileges.
REVOKE ALL ON FUNCTION changelane.pause(text), changelane.resume(text), changelane.ask_worker(text, text),
    changelane.send_scheduled(changelane.schedules, timestamptz), changelane.pause_schedule(text, text),
    changelane.resume_schedule(text, text), changelane.run_schedule(text, text) FROM PUBLIC;
REVOKE ALL ON changelane.sleepers, changelane.pauses, changelane.schedules, changelane.relays,
    changelane.workers, changelane.history, changelane.buckets, changelane.takers FROM PUBLIC;
-- These rights are granted by column, because tools that compare schemas repeat rights on whole tables and
-- take PUBLIC for the name of a role.
GRANT SELECT (queue, until) ON changelane.sleepers TO PUBLIC;
GRANT SELECT (queue, since) ON changelane.pauses TO PUBLIC;
GRANT SELECT (
    project, name, queue, cron, every, timezone, body, missed, spec, since, next_at, last_at, sent_at, runs,
    passed_over, paused_at
) ON changelane.schedules TO PUBLIC;
GRANT SELECT (
    queue, process, destination, engine, state, since, error, error_at, published, confirmed, refused, told_at
) ON changelane.relays TO PUBLIC;
GRANT SELECT (
    process, host, pid, version, since, queues, state, running, error_at, told_at, wish
) ON changelane.workers TO PUBLIC;
GRANT SELECT (
    queue, seconds, at, handled, failed, retried, depth, inserted, waited, worked
) ON changelane.history TO PUBLIC;
GRANT SELECT (queue, grp, whole, tokens, at) ON changelane.buckets TO PUBLIC;
GRANT SELECT (lock, queue, vanished_at) ON changelane.takers TO PUBLIC;
GRANT EXECUTE ON FUNCTION changelane.doze(text[], double precision), changelane.rouse(text[]),
    changelane.tell_relays(text, jsonb), changelane.tell_worker(text, jsonb), changelane.tell_history(jsonb),
    changelane.fold_history(),
    changelane.spend_tokens(text, bigint[], bigint[], boolean, double precision, double precision),
    changelane.begin_taking(text, bigint), changelane.end_taking(bigint),
    changelane.find_vanished(text[], bigint),
    changelane.new_id(), changelane.message(text, text, text, jsonb, anyelement, anycompatible),
    changelane.headers(jsonb), changelane.add_trace(jsonb),
    changelane.send_all(refcursor, text[], jsonb, integer, boolean),
    changelane.key_only(text, text, text, jsonb, jsonb), changelane.measure(record),
    changelane.weigh(anyelement, integer), changelane.is_large(anyelement),
    changelane.is_large(anyelement, anyelement), changelane.digest(text),
    changelane.advance_schedule(
        text, text, text, timestamptz, timestamptz, timestamptz, bigint, timestamptz
    ) TO PUBLIC;
GRANT EXECUTE ON PROCEDURE changelane.mark_trigger(text, text, text) TO PUBLIC;

-- The version, which older ones of Changelane read, and a hash of the functions as they are now.
COMMENT ON SCHEMA changelane IS 'changelane:schema 16';
DO $do$ BEGIN
    EXECUTE pg_catalog.format('COMMENT ON TABLE changelane.sleepers IS %L', 'changelane:functions live=' ||
        left(encode(sha256(convert_to(coalesce((
            SELECT jsonb_agg(jsonb_build_array(
                ours.signature, pg_get_function_arguments(proc.oid),
                coalesce(pg_get_function_sqlbody(proc.oid), proc.prosrc), language.lanname, proc.prosecdef,
                proc.provolatile::text, coalesce(proc.proconfig, '{}')
            ) ORDER BY ours.position)
            FROM unnest(ARRAY[
                'advance_schedule(text, text, text, timestamp with time zone, timestamp with time zone,'
                    ' timestamp with time zone, bigint, timestamp with time zone)',
                'pause_schedule(text, text)', 'resume_schedule(text, text)', 'run_schedule(text, text)',
                'send_scheduled(changelane.schedules, timestamp with time zone)',
                'add_trace(jsonb)', 'digest(text)', 'doze(text[], double precision)',
                'headers(jsonb)', 'is_large(anyelement)', 'is_large(anyelement, anyelement)',
                'key_only(text, text, text, jsonb, jsonb)', 'mark_trigger(text, text, text)',
                'measure(record)', 'message(text, text, text, jsonb, anyelement, anycompatible)', 'new_id()',
                'pause(text)', 'resume(text)', 'rouse(text[])',
                'send_all(refcursor, text[], jsonb, integer, boolean)',
                'spend_tokens(text, bigint[], bigint[], boolean, double precision, double precision)',
                'begin_taking(text, bigint)', 'end_taking(bigint)', 'find_vanished(text[], bigint)',
                'tell_relays(text, jsonb)',
                'tell_worker(text, jsonb)', 'tell_history(jsonb)', 'fold_history()', 'ask_worker(text, text)',
                'weigh(anyelement, integer)'
            ]) WITH ORDINALITY AS ours (signature, position)
            -- This is no lookup by name, because that needs USAGE on the schema.
            JOIN pg_catalog.pg_proc AS proc
                ON proc.pronamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'changelane')
                AND proc.proname || '(' || oidvectortypes(proc.proargtypes) || ')' = ours.signature
            JOIN pg_catalog.pg_language AS language ON language.oid = proc.prolang
        ), '[]')::text, 'UTF8')), 'hex'), 12)
    );
END $do$;
DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'order_events') THEN
        PERFORM pgmq.create('order_events');
        -- Rights from default privileges are not declared, so they are revoked.
        DECLARE
            given record;
        BEGIN
            FOR given IN
                WITH tables AS (
                    SELECT relid::oid AS oid
                    FROM unnest(
                        ARRAY['pgmq."q_order_events"', 'pgmq."a_order_events"']::regclass[]
                    ) AS whole, pg_partition_tree(whole)
                    UNION
                    SELECT unnest(
                        ARRAY['pgmq."q_order_events"', 'pgmq."a_order_events"']::regclass[]
                    )
                )
                SELECT DISTINCT class.oid::regclass AS name, class.relkind, acl.grantee
                FROM pg_class AS class, aclexplode(class.relacl) AS acl
                WHERE acl.grantee <> class.relowner AND acl.grantee <> 'pg_monitor'::regrole
                    AND (
                        class.oid IN (SELECT oid FROM tables)
                        OR class.relkind = 'S' AND class.oid IN (
                            SELECT objid FROM pg_depend
                            WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
                                AND refobjid IN (SELECT oid FROM tables)
                        )
                    )
            LOOP
                EXECUTE format(
                    'REVOKE ALL ON %s %s FROM %s',
                    CASE given.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
                    given.name,
                    CASE given.grantee WHEN 0 THEN 'PUBLIC' ELSE given.grantee::regrole::text END
                );
            END LOOP;
        END;
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_order_events',
            'changelane:1 project=golden_access queue=order_events spec=db9ee3bc8cf3 live=950705191495 pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;
ALTER TABLE pgmq."q_order_events" SET (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);
DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'order_events_dlq') THEN
        PERFORM pgmq.create('order_events_dlq');
        -- Rights from default privileges are not declared, so they are revoked.
        DECLARE
            given record;
        BEGIN
            FOR given IN
                WITH tables AS (
                    SELECT relid::oid AS oid
                    FROM unnest(
                        ARRAY['pgmq."q_order_events_dlq"', 'pgmq."a_order_events_dlq"']::regclass[]
                    ) AS whole, pg_partition_tree(whole)
                    UNION
                    SELECT unnest(
                        ARRAY['pgmq."q_order_events_dlq"', 'pgmq."a_order_events_dlq"']::regclass[]
                    )
                )
                SELECT DISTINCT class.oid::regclass AS name, class.relkind, acl.grantee
                FROM pg_class AS class, aclexplode(class.relacl) AS acl
                WHERE acl.grantee <> class.relowner AND acl.grantee <> 'pg_monitor'::regrole
                    AND (
                        class.oid IN (SELECT oid FROM tables)
                        OR class.relkind = 'S' AND class.oid IN (
                            SELECT objid FROM pg_depend
                            WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
                                AND refobjid IN (SELECT oid FROM tables)
                        )
                    )
            LOOP
                EXECUTE format(
                    'REVOKE ALL ON %s %s FROM %s',
                    CASE given.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
                    given.name,
                    CASE given.grantee WHEN 0 THEN 'PUBLIC' ELSE given.grantee::regrole::text END
                );
            END LOOP;
        END;
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_order_events_dlq',
            'changelane:1 project=golden_access queue=order_events_dlq spec=7d1525f615f9 live=950705191495 '
            'pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;
ALTER TABLE pgmq."q_order_events_dlq" SET (autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);
CREATE OR REPLACE FUNCTION changelane."orders_insert_8d227704"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('order_events',
            changelane.message('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"),
            new_row.changelane_row, NULL), changelane.headers('{"route": "orders"}'), clock_timestamp())
        FROM (SELECT NULL::bigint AS "id") AS absent, LATERAL
            (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS new_row
        WHERE (pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR SELECT CASE WHEN changelane.is_large(new_row.changelane_row)
        THEN changelane.key_only('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"))
        ELSE changelane.message('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"),
            new_row.changelane_row, NULL)
    END FROM (SELECT NULL::bigint AS "id") AS absent, LATERAL
        (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{order_events}',
        changelane.headers('{"route": "orders"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_8d227704"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_insert_8d227704"() IS
    'changelane:1 project=golden_access route=orders spec=4b9ab0430865 live=52c0732e0b7c queues=order_events';
COMMIT;

-- access to queue order_events
BEGIN;
SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = 0;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL standard_conforming_strings = on;
SET LOCAL quote_all_identifiers = off;
DO $changelane$
DECLARE
    newer boolean := current_setting('server_version_num')::int >= 160000;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'changelane_golden_access_cf8a1a0f') THEN
        CREATE ROLE "changelane_golden_access_cf8a1a0f" NOLOGIN NOINHERIT;
    END IF;
    -- Only a member of the role can make it the owner of a function, and replace that function later.
    IF NOT pg_has_role('changelane_golden_access_cf8a1a0f', 'USAGE')
        OR NOT (CASE WHEN newer THEN pg_has_role('changelane_golden_access_cf8a1a0f', 'SET') ELSE true END)
    THEN
        EXECUTE format('GRANT %I TO %I', 'changelane_golden_access_cf8a1a0f', current_user)
            || CASE WHEN newer THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    RAISE lock_not_available USING MESSAGE = 'the role is made through another database at the same moment';
END
$changelane$;
-- "changelane_golden_access_cf8a1a0f" may read, archive.
-- With these settings, literals in the expressions mean the same, and print the same, in every session.
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO, MDY';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = '1';
SET LOCAL quote_all_identifiers = 'off';
DO $changelane$
DECLARE
    grantee CONSTANT oid := (SELECT oid FROM pg_catalog.pg_roles
        WHERE rolname = 'changelane_golden_access_cf8a1a0f');
    found record;
BEGIN
    FOR found IN
        SELECT class.relname, class.relowner, policy.polname
        FROM pg_catalog.pg_class AS class
        LEFT JOIN pg_catalog.pg_policy AS policy
            ON policy.polrelid = class.oid
            AND (
                policy.polname = ANY (ARRAY['changelane_read_archive_select_7e65e524',
                    'changelane_read_update_7e65e524', 'changelane_read_update_bounds_7e65e524',
                    'changelane_archive_delete_7e65e524', 'changelane_archive_insert_7e65e524',
                    'changelane_archive_insert_bounds_7e65e524',
                    'changelane_archive_select_7e65e524']::text[])
                OR policy.polroles = ARRAY[grantee]
                AND starts_with(
                    pg_catalog.obj_description(policy.oid, 'pg_policy'),
                    'changelane:1 project=golden_access access='
                )
            )
        WHERE class.oid IN ('pgmq."q_order_events"'::pg_catalog.regclass,
            'pgmq."a_order_events"'::pg_catalog.regclass)
    LOOP
        IF found.relowner = grantee THEN
            RAISE EXCEPTION 'role % owns pgmq.%, and may do everything with it',
                'changelane_golden_access_cf8a1a0f', found.relname;
        ELSIF found.polname IS NOT NULL THEN
            EXECUTE format('DROP POLICY %I ON pgmq.%I', found.polname, found.relname);
        END IF;
    END LOOP;
END
$changelane$;
ALTER TABLE pgmq."q_order_events" ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
REVOKE ALL ON pgmq."q_order_events" FROM PUBLIC, "changelane_golden_access_cf8a1a0f" CASCADE;
GRANT DELETE, SELECT, UPDATE ("read_ct", "vt")
    ON pgmq."q_order_events" TO "changelane_golden_access_cf8a1a0f";
CREATE POLICY "changelane_read_archive_select_7e65e524" ON pgmq."q_order_events"
    FOR SELECT TO "changelane_golden_access_cf8a1a0f"
    USING (message->'new'->>'tenant' = current_setting('request.jwt.claims', true)::jsonb->>'tenant');
CREATE POLICY "changelane_read_update_7e65e524" ON pgmq."q_order_events"
    FOR UPDATE TO "changelane_golden_access_cf8a1a0f"
    USING (message->'new'->>'tenant' = current_setting('request.jwt.claims', true)::jsonb->>'tenant');
CREATE POLICY "changelane_read_update_bounds_7e65e524" ON pgmq."q_order_events"
    AS RESTRICTIVE FOR UPDATE TO "changelane_golden_access_cf8a1a0f"
    WITH CHECK (
        read_ct BETWEEN 0 AND 2000000000
        AND vt BETWEEN now() - interval '200 years' AND now() + interval '200 years'
    );
CREATE POLICY "changelane_archive_delete_7e65e524" ON pgmq."q_order_events"
    FOR DELETE TO "changelane_golden_access_cf8a1a0f"
    USING (message->'new'->>'tenant' = current_setting('request.jwt.claims', true)::jsonb->>'tenant');
ALTER TABLE pgmq."a_order_events" ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
REVOKE ALL ON pgmq."a_order_events" FROM PUBLIC, "changelane_golden_access_cf8a1a0f" CASCADE;
GRANT INSERT ("enqueued_at", "headers", "message", "msg_id", "read_ct", "vt"), SELECT ("msg_id")
    ON pgmq."a_order_events" TO "changelane_golden_access_cf8a1a0f";
CREATE POLICY "changelane_archive_insert_7e65e524" ON pgmq."a_order_events"
    FOR INSERT TO "changelane_golden_access_cf8a1a0f"
    WITH CHECK (
        (message->'new'->>'tenant' = current_setting('request.jwt.claims', true)::jsonb->>'tenant')
        AND EXISTS (
            SELECT FROM pgmq."q_order_events" AS held
            WHERE held.msg_id = pgmq."a_order_events".msg_id
                AND held.enqueued_at = pgmq."a_order_events".enqueued_at
                AND held.message IS NOT DISTINCT FROM pgmq."a_order_events".message
                AND (
                    pgmq."a_order_events".headers IS NULL
                    OR CASE jsonb_typeof(held.headers) WHEN 'object' THEN held.headers - 'changelane'
                        ELSE held.headers END
                        = CASE jsonb_typeof(pgmq."a_order_events".headers) WHEN 'object'
                            THEN pgmq."a_order_events".headers - 'changelane'
                            ELSE pgmq."a_order_events".headers END
                )
        )
    );
CREATE POLICY "changelane_archive_insert_bounds_7e65e524" ON pgmq."a_order_events"
    AS RESTRICTIVE FOR INSERT TO "changelane_golden_access_cf8a1a0f"
    WITH CHECK (
        read_ct BETWEEN 0 AND 2000000000
        AND vt BETWEEN now() - interval '200 years' AND now() + interval '200 years'
    );
CREATE POLICY "changelane_archive_select_7e65e524" ON pgmq."a_order_events"
    FOR SELECT TO "changelane_golden_access_cf8a1a0f"
    USING ((message->'new'->>'tenant' = current_setting('request.jwt.claims', true)::jsonb->>'tenant')
        AND archived_at = now());
DO $changelane$
DECLARE
    found record;
BEGIN
    -- Rights on partitions bypass the queue's row security, and a sequence decides the ids. Revoke both.
    FOR found IN
        SELECT relid::pg_catalog.regclass AS part, 'TABLE' AS kind
        FROM unnest(
            ARRAY['pgmq."q_order_events"', 'pgmq."a_order_events"']::pg_catalog.regclass[]
        ) AS whole, pg_partition_tree(whole)
        WHERE relid <> whole
        UNION ALL
        SELECT pg_depend.objid::pg_catalog.regclass, 'SEQUENCE'
        FROM pg_catalog.pg_depend
        JOIN pg_catalog.pg_class ON pg_class.oid = pg_depend.objid AND pg_class.relkind = 'S'
        WHERE pg_depend.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND pg_depend.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND pg_depend.refobjid IN (
                'pgmq."q_order_events"'::pg_catalog.regclass,
                'pgmq."a_order_events"'::pg_catalog.regclass
            )
    LOOP
        EXECUTE format(
            'REVOKE ALL ON %s %s FROM PUBLIC, %I CASCADE', found.kind, found.part,
                'changelane_golden_access_cf8a1a0f'
        );
    END LOOP;
    -- Rights that the role already has, for example by PUBLIC, are not granted again.
    IF NOT has_schema_privilege('changelane_golden_access_cf8a1a0f', 'pgmq', 'USAGE') THEN
        GRANT USAGE ON SCHEMA "pgmq" TO "changelane_golden_access_cf8a1a0f";
    END IF;
    FOR found IN
        SELECT oid::pg_catalog.regprocedure AS signature
        FROM pg_catalog.pg_proc
        WHERE pronamespace = 'pgmq'::pg_catalog.regnamespace
            AND proname = ANY (ARRAY['archive', 'format_table_name', 'read', 'read_with_poll']::text[])
            AND NOT has_function_privilege('changelane_golden_access_cf8a1a0f', oid, 'EXECUTE')
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', found.signature,
            'changelane_golden_access_cf8a1a0f');
    END LOOP;
    IF EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = 'pgmq."q_order_events"'::pg_catalog.regclass AND attname = 'last_read_at'
    ) THEN
        GRANT UPDATE ("last_read_at")
            ON pgmq."q_order_events" TO "changelane_golden_access_cf8a1a0f";
    END IF;
    IF EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = 'pgmq."a_order_events"'::pg_catalog.regclass AND attname = 'last_read_at'
    ) THEN
        GRANT INSERT ("last_read_at")
            ON pgmq."a_order_events" TO "changelane_golden_access_cf8a1a0f";
    END IF;
    FOR found IN
        SELECT
            policy.polname,
            class.relname,
            left(encode(sha256(convert_to(jsonb_build_array(
                policy.polname, policy.polcmd::text, policy.polpermissive, 0 = ANY (policy.polroles),
                ARRAY(
                    SELECT rolname FROM pg_catalog.pg_roles
                    WHERE oid = ANY (policy.polroles)
                    ORDER BY rolname COLLATE "C"
                ),
                pg_get_expr(policy.polqual, policy.polrelid),
                pg_get_expr(policy.polwithcheck, policy.polrelid)
            )::text, 'UTF8')), 'hex'), 12) AS live
        FROM pg_catalog.pg_policy AS policy
        JOIN pg_catalog.pg_class AS class ON class.oid = policy.polrelid
        WHERE class.relnamespace = 'pgmq'::pg_catalog.regnamespace
            AND class.relname IN ('q_order_events', 'a_order_events')
            AND policy.polname = ANY (ARRAY['changelane_read_archive_select_7e65e524',
                'changelane_read_update_7e65e524', 'changelane_read_update_bounds_7e65e524',
                'changelane_archive_delete_7e65e524', 'changelane_archive_insert_7e65e524',
                'changelane_archive_insert_bounds_7e65e524', 'changelane_archive_select_7e65e524']::text[])
    LOOP
        EXECUTE format(
            'COMMENT ON POLICY %I ON pgmq.%I IS %L', found.polname, found.relname,
            format(
                'changelane:1 project=golden_access access=order_events spec=f7401e3e1443 live=%s pg=',
                found.live
            ) || current_setting('server_version_num')::int / 10000
        );
    END LOOP;
END
$changelane$;
-- "golden_client" calls these functions
-- and has no right on the tables. The functions run as the role above, which no session can become. So row
-- security limits them, and the expressions run with that role's rights only.
DO $changelane$
DECLARE
    found record;
BEGIN
    IF pg_catalog.to_regnamespace('changelane_access') IS NULL THEN
        CREATE SCHEMA changelane_access;
    END IF;
    -- Every role may look up names in this schema. Only its owner creates objects in it.
    IF NOT has_schema_privilege('public', 'changelane_access', 'USAGE') THEN
        GRANT USAGE ON SCHEMA changelane_access TO PUBLIC;
    END IF;
    FOR found IN
        SELECT CASE acl.grantee
            WHEN 0 THEN 'PUBLIC'
            ELSE quote_ident(pg_get_userbyid(acl.grantee))
        END AS holder
        FROM pg_catalog.pg_namespace, aclexplode(nspacl) AS acl
        WHERE nspname = 'changelane_access' AND acl.privilege_type = 'CREATE' AND acl.grantee <> nspowner
    LOOP
        EXECUTE format('REVOKE CREATE ON SCHEMA changelane_access FROM %s CASCADE', found.holder);
    END LOOP;
    FOR found IN
        SELECT oid::pg_catalog.regprocedure AS signature
        FROM pg_catalog.pg_proc
        WHERE pronamespace = 'changelane_access'::pg_catalog.regnamespace
            AND (
                proname = ANY (ARRAY['archive_order_events_cf8a1a0', 'lease_order_events_cf8a1a0',
                    'metrics_order_events_cf8a1a0', 'poll_order_events_cf8a1a0',
                    'read_order_events_cf8a1a0']::text[])
                OR pg_get_userbyid(proowner) = 'changelane_golden_access_cf8a1a0f'
                    AND starts_with(
                        obj_description(oid, 'pg_proc'),
                        'changelane:1 project=golden_access access=order_events '
                    )
            )
    LOOP
        EXECUTE format('DROP FUNCTION %s', found.signature);
    END LOOP;
END
$changelane$;
CREATE FUNCTION changelane_access."archive_order_events_cf8a1a0"(
    message_ids bigint[]
)
    RETURNS SETOF bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $changelane$
    SELECT * FROM pgmq.archive('order_events', $1)
$changelane$;
CREATE FUNCTION changelane_access."lease_order_events_cf8a1a0"(
    message_id bigint, read_count integer, sleep_seconds integer
)
    RETURNS SETOF bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $changelane$
    -- Only for the delivery of that number: whoever reads the message later holds it then.
    UPDATE pgmq."q_order_events" SET vt = clock_timestamp() + make_interval(secs => $3)
    WHERE msg_id = $1 AND read_ct = $2
    RETURNING msg_id
$changelane$;
CREATE FUNCTION changelane_access."metrics_order_events_cf8a1a0"()
    RETURNS TABLE (
        queue_length bigint, visible_length bigint, oldest_age_seconds float8, newest_age_seconds float8
    ) LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $changelane$
    SELECT (SELECT count(*) FROM (SELECT FROM pgmq."q_order_events" LIMIT 10000) AS capped),
        (SELECT count(*) FROM (
            SELECT FROM pgmq."q_order_events" WHERE vt <= clock_timestamp() LIMIT 10000
        ) AS capped),
        extract(epoch FROM clock_timestamp() - (
            SELECT enqueued_at FROM pgmq."q_order_events" ORDER BY msg_id LIMIT 1
        ))::float8,
        extract(epoch FROM clock_timestamp() - (
            SELECT enqueued_at FROM pgmq."q_order_events" ORDER BY msg_id DESC LIMIT 1
        ))::float8
$changelane$;
CREATE FUNCTION changelane_access."poll_order_events_cf8a1a0"(
    sleep_seconds integer, n integer, max_poll_seconds integer
)
    RETURNS SETOF pgmq.message_record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $changelane$
    SELECT * FROM pgmq.read_with_poll('order_events', $1, $2, least($3, 30), 100)
$changelane$;
CREATE FUNCTION changelane_access."read_order_events_cf8a1a0"(
    sleep_seconds integer, n integer
)
    RETURNS SETOF pgmq.message_record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $changelane$
    SELECT * FROM pgmq.read('order_events', $1, $2)
$changelane$;
DO $changelane$
DECLARE
    found record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('changelane:schema', 0));
    -- The role has no login, and its only member is the owner of the queue.
    IF (SELECT rolcanlogin FROM pg_catalog.pg_roles WHERE rolname = 'changelane_golden_access_cf8a1a0f') THEN
        ALTER ROLE "changelane_golden_access_cf8a1a0f" NOLOGIN;
    END IF;
    FOR found IN
        SELECT member.rolname AS member
        FROM pg_catalog.pg_auth_members AS held
        JOIN pg_catalog.pg_roles AS role ON role.oid = held.roleid
        JOIN pg_catalog.pg_roles AS member ON member.oid = held.member
        JOIN pg_catalog.pg_class AS class ON class.oid = 'pgmq."q_order_events"'::pg_catalog.regclass
        WHERE role.rolname = 'changelane_golden_access_cf8a1a0f'
            AND NOT pg_has_role(member.oid, class.relowner, 'MEMBER')
    LOOP
        EXECUTE format('REVOKE %I FROM %I', 'changelane_golden_access_cf8a1a0f', found.member);
    END LOOP;
    -- A role can become the owner of a function only in a schema where it may create one.
    GRANT CREATE ON SCHEMA changelane_access TO "changelane_golden_access_cf8a1a0f";
    FOR found IN
        SELECT oid::pg_catalog.regprocedure AS signature,
            (
                SELECT string_agg(DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC'
                    ELSE quote_ident(pg_get_userbyid(grantee)) END, ', ')
                FROM aclexplode(coalesce(proacl, acldefault('f', proowner)))
            ) AS holders
        FROM pg_catalog.pg_proc
        WHERE pronamespace = 'changelane_access'::pg_catalog.regnamespace
            AND proname = ANY (ARRAY['archive_order_events_cf8a1a0', 'lease_order_events_cf8a1a0',
                'metrics_order_events_cf8a1a0', 'poll_order_events_cf8a1a0',
                'read_order_events_cf8a1a0']::text[])
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %s', found.signature, found.holders);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', found.signature, 'golden_client');
        EXECUTE format('ALTER FUNCTION %s OWNER TO %I', found.signature, 'changelane_golden_access_cf8a1a0f');
    END LOOP;
    REVOKE CREATE ON SCHEMA changelane_access FROM "changelane_golden_access_cf8a1a0f";
    FOR found IN
        SELECT
            proc.oid::pg_catalog.regprocedure AS signature,
            left(encode(sha256(convert_to(jsonb_build_array(
                proc.proname, pg_get_function_arguments(proc.oid), pg_get_function_result(proc.oid),
                proc.prosrc, proc.prosecdef, proc.provolatile::text, coalesce(proc.proconfig, '{}'),
                pg_get_userbyid(proc.proowner),
                ARRAY(
                    SELECT CASE grantee WHEN 0 THEN '' ELSE pg_get_userbyid(grantee)::text END
                    FROM aclexplode(coalesce(proc.proacl, acldefault('f', proc.proowner)))
                    ORDER BY 1
                )
            )::text, 'UTF8')), 'hex'), 12) AS live
        FROM pg_catalog.pg_proc AS proc
        WHERE proc.pronamespace = 'changelane_access'::pg_catalog.regnamespace
            AND proc.proname = ANY (ARRAY['archive_order_events_cf8a1a0', 'lease_order_events_cf8a1a0',
                'metrics_order_events_cf8a1a0', 'poll_order_events_cf8a1a0',
                'read_order_events_cf8a1a0']::text[])
    LOOP
        EXECUTE format(
            'COMMENT ON FUNCTION %s IS %L', found.signature,
            format(
                'changelane:1 project=golden_access access=order_events spec=f7401e3e1443 live=%s pg=',
                found.live
            ) || current_setting('server_version_num')::int / 10000
        );
    END LOOP;
END
$changelane$;
-- "golden_worker" may send, read, delete.
-- With these settings, literals in the expressions mean the same, and print the same, in every session.
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO, MDY';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = '1';
SET LOCAL quote_all_identifiers = 'off';
DO $changelane$
DECLARE
    grantee CONSTANT oid := (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = 'golden_worker');
    found record;
BEGIN
    FOR found IN
        SELECT class.relname, class.relowner, policy.polname
        FROM pg_catalog.pg_class AS class
        LEFT JOIN pg_catalog.pg_policy AS policy
            ON policy.polrelid = class.oid
            AND (
                policy.polname = ANY (ARRAY['changelane_send_insert_953a0fbe',
                    'changelane_send_insert_bounds_953a0fbe', 'changelane_send_read_delete_select_953a0fbe',
                    'changelane_read_update_953a0fbe', 'changelane_read_update_bounds_953a0fbe',
                    'changelane_delete_delete_953a0fbe']::text[])
                OR policy.polroles = ARRAY[grantee]
                AND starts_with(
                    pg_catalog.obj_description(policy.oid, 'pg_policy'),
                    'changelane:1 project=golden_access access='
                )
            )
        WHERE class.oid IN ('pgmq."q_order_events"'::pg_catalog.regclass,
            'pgmq."a_order_events"'::pg_catalog.regclass)
    LOOP
        IF found.relowner = grantee THEN
            RAISE EXCEPTION 'role % owns pgmq.%, and may do everything with it',
                'golden_worker', found.relname;
        ELSIF found.polname IS NOT NULL THEN
            EXECUTE format('DROP POLICY %I ON pgmq.%I', found.polname, found.relname);
        END IF;
    END LOOP;
END
$changelane$;
ALTER TABLE pgmq."q_order_events" ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
REVOKE ALL ON pgmq."q_order_events" FROM PUBLIC, "golden_worker" CASCADE;
GRANT DELETE, INSERT ("headers", "message", "vt"), SELECT, UPDATE ("headers", "read_ct", "vt")
    ON pgmq."q_order_events" TO "golden_worker";
CREATE POLICY "changelane_send_insert_953a0fbe" ON pgmq."q_order_events"
    FOR INSERT TO "golden_worker"
    WITH CHECK (true);
CREATE POLICY "changelane_send_insert_bounds_953a0fbe" ON pgmq."q_order_events"
    AS RESTRICTIVE FOR INSERT TO "golden_worker"
    WITH CHECK (
        read_ct BETWEEN 0 AND 2000000000
        AND vt BETWEEN now() - interval '200 years' AND now() + interval '200 years'
    );
CREATE POLICY "changelane_send_read_delete_select_953a0fbe" ON pgmq."q_order_events"
    FOR SELECT TO "golden_worker"
    USING (true);
CREATE POLICY "changelane_read_update_953a0fbe" ON pgmq."q_order_events"
    FOR UPDATE TO "golden_worker"
    USING (true);
CREATE POLICY "changelane_read_update_bounds_953a0fbe" ON pgmq."q_order_events"
    AS RESTRICTIVE FOR UPDATE TO "golden_worker"
    WITH CHECK (
        read_ct BETWEEN 0 AND 2000000000
        AND vt BETWEEN now() - interval '200 years' AND now() + interval '200 years'
    );
CREATE POLICY "changelane_delete_delete_953a0fbe" ON pgmq."q_order_events"
    FOR DELETE TO "golden_worker"
    USING (true);
ALTER TABLE pgmq."a_order_events" ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
REVOKE ALL ON pgmq."a_order_events" FROM PUBLIC, "golden_worker" CASCADE;
DO $changelane$
DECLARE
    found record;
BEGIN
    -- Rights on partitions bypass the queue's row security, and a sequence decides the ids. Revoke both.
    FOR found IN
        SELECT relid::pg_catalog.regclass AS part, 'TABLE' AS kind
        FROM unnest(
            ARRAY['pgmq."q_order_events"', 'pgmq."a_order_events"']::pg_catalog.regclass[]
        ) AS whole, pg_partition_tree(whole)
        WHERE relid <> whole
        UNION ALL
        SELECT pg_depend.objid::pg_catalog.regclass, 'SEQUENCE'
        FROM pg_catalog.pg_depend
        JOIN pg_catalog.pg_class ON pg_class.oid = pg_depend.objid AND pg_class.relkind = 'S'
        WHERE pg_depend.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND pg_depend.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND pg_depend.refobjid IN (
                'pgmq."q_order_events"'::pg_catalog.regclass,
                'pgmq."a_order_events"'::pg_catalog.regclass
            )
    LOOP
        EXECUTE format(
            'REVOKE ALL ON %s %s FROM PUBLIC, %I CASCADE', found.kind, found.part, 'golden_worker'
        );
    END LOOP;
    -- Rights that the role already has, for example by PUBLIC, are not granted again.
    IF NOT has_schema_privilege('golden_worker', 'pgmq', 'USAGE') THEN
        GRANT USAGE ON SCHEMA "pgmq" TO "golden_worker";
    END IF;
    IF NOT has_schema_privilege('golden_worker', 'changelane', 'USAGE') THEN
        GRANT USAGE ON SCHEMA "changelane" TO "golden_worker";
    END IF;
    FOR found IN
        SELECT oid::pg_catalog.regprocedure AS signature
        FROM pg_catalog.pg_proc
        WHERE pronamespace = 'pgmq'::pg_catalog.regnamespace
            AND proname = ANY (ARRAY['_send_batch', '_validate_batch_params', 'delete', 'format_table_name',
                'read', 'read_with_poll', 'send', 'send_batch']::text[])
            AND NOT has_function_privilege('golden_worker', oid, 'EXECUTE')
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', found.signature, 'golden_worker');
    END LOOP;
    IF EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = 'pgmq."q_order_events"'::pg_catalog.regclass AND attname = 'last_read_at'
    ) THEN
        GRANT UPDATE ("last_read_at")
            ON pgmq."q_order_events" TO "golden_worker";
    END IF;
    FOR found IN
        SELECT
            policy.polname,
            class.relname,
            left(encode(sha256(convert_to(jsonb_build_array(
                policy.polname, policy.polcmd::text, policy.polpermissive, 0 = ANY (policy.polroles),
                ARRAY(
                    SELECT rolname FROM pg_catalog.pg_roles
                    WHERE oid = ANY (policy.polroles)
                    ORDER BY rolname COLLATE "C"
                ),
                pg_get_expr(policy.polqual, policy.polrelid),
                pg_get_expr(policy.polwithcheck, policy.polrelid)
            )::text, 'UTF8')), 'hex'), 12) AS live
        FROM pg_catalog.pg_policy AS policy
        JOIN pg_catalog.pg_class AS class ON class.oid = policy.polrelid
        WHERE class.relnamespace = 'pgmq'::pg_catalog.regnamespace
            AND class.relname IN ('q_order_events', 'a_order_events')
            AND policy.polname = ANY (ARRAY['changelane_send_insert_953a0fbe',
                'changelane_send_insert_bounds_953a0fbe', 'changelane_send_read_delete_select_953a0fbe',
                'changelane_read_update_953a0fbe', 'changelane_read_update_bounds_953a0fbe',
                'changelane_delete_delete_953a0fbe']::text[])
    LOOP
        EXECUTE format(
            'COMMENT ON POLICY %I ON pgmq.%I IS %L', found.polname, found.relname,
            format(
                'changelane:1 project=golden_access access=order_events spec=016a6617c4dd live=%s pg=',
                found.live
            ) || current_setting('server_version_num')::int / 10000
        );
    END LOOP;
END
$changelane$;
COMMIT;

-- access to queue order_events_dlq
BEGIN;
SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = 0;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL standard_conforming_strings = on;
SET LOCAL quote_all_identifiers = off;
-- "golden_worker" may send.
-- With these settings, literals in the expressions mean the same, and print the same, in every session.
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO, MDY';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = '1';
SET LOCAL quote_all_identifiers = 'off';
DO $changelane$
DECLARE
    grantee CONSTANT oid := (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = 'golden_worker');
    found record;
BEGIN
    FOR found IN
        SELECT class.relname, class.relowner, policy.polname
        FROM pg_catalog.pg_class AS class
        LEFT JOIN pg_catalog.pg_policy AS policy
            ON policy.polrelid = class.oid
            AND (
                policy.polname = ANY (ARRAY['changelane_send_insert_953a0fbe',
                    'changelane_send_insert_bounds_953a0fbe', 'changelane_send_select_953a0fbe']::text[])
                OR policy.polroles = ARRAY[grantee]
                AND starts_with(
                    pg_catalog.obj_description(policy.oid, 'pg_policy'),
                    'changelane:1 project=golden_access access='
                )
            )
        WHERE class.oid IN ('pgmq."q_order_events_dlq"'::pg_catalog.regclass,
            'pgmq."a_order_events_dlq"'::pg_catalog.regclass)
    LOOP
        IF found.relowner = grantee THEN
            RAISE EXCEPTION 'role % owns pgmq.%, and may do everything with it',
                'golden_worker', found.relname;
        ELSIF found.polname IS NOT NULL THEN
            EXECUTE format('DROP POLICY %I ON pgmq.%I', found.polname, found.relname);
        END IF;
    END LOOP;
END
$changelane$;
ALTER TABLE pgmq."q_order_events_dlq" ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
REVOKE ALL ON pgmq."q_order_events_dlq" FROM PUBLIC, "golden_worker" CASCADE;
GRANT INSERT ("headers", "message", "vt"), SELECT ("msg_id")
    ON pgmq."q_order_events_dlq" TO "golden_worker";
CREATE POLICY "changelane_send_insert_953a0fbe" ON pgmq."q_order_events_dlq"
    FOR INSERT TO "golden_worker"
    WITH CHECK (true);
CREATE POLICY "changelane_send_insert_bounds_953a0fbe" ON pgmq."q_order_events_dlq"
    AS RESTRICTIVE FOR INSERT TO "golden_worker"
    WITH CHECK (
        read_ct BETWEEN 0 AND 2000000000
        AND vt BETWEEN now() - interval '200 years' AND now() + interval '200 years'
    );
CREATE POLICY "changelane_send_select_953a0fbe" ON pgmq."q_order_events_dlq"
    FOR SELECT TO "golden_worker"
    USING (enqueued_at = now());
ALTER TABLE pgmq."a_order_events_dlq" ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
REVOKE ALL ON pgmq."a_order_events_dlq" FROM PUBLIC, "golden_worker" CASCADE;
DO $changelane$
DECLARE
    found record;
BEGIN
    -- Rights on partitions bypass the queue's row security, and a sequence decides the ids. Revoke both.
    FOR found IN
        SELECT relid::pg_catalog.regclass AS part, 'TABLE' AS kind
        FROM unnest(
            ARRAY['pgmq."q_order_events_dlq"', 'pgmq."a_order_events_dlq"']::pg_catalog.regclass[]
        ) AS whole, pg_partition_tree(whole)
        WHERE relid <> whole
        UNION ALL
        SELECT pg_depend.objid::pg_catalog.regclass, 'SEQUENCE'
        FROM pg_catalog.pg_depend
        JOIN pg_catalog.pg_class ON pg_class.oid = pg_depend.objid AND pg_class.relkind = 'S'
        WHERE pg_depend.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND pg_depend.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND pg_depend.refobjid IN (
                'pgmq."q_order_events_dlq"'::pg_catalog.regclass,
                'pgmq."a_order_events_dlq"'::pg_catalog.regclass
            )
    LOOP
        EXECUTE format(
            'REVOKE ALL ON %s %s FROM PUBLIC, %I CASCADE', found.kind, found.part, 'golden_worker'
        );
    END LOOP;
    -- Rights that the role already has, for example by PUBLIC, are not granted again.
    IF NOT has_schema_privilege('golden_worker', 'pgmq', 'USAGE') THEN
        GRANT USAGE ON SCHEMA "pgmq" TO "golden_worker";
    END IF;
    FOR found IN
        SELECT oid::pg_catalog.regprocedure AS signature
        FROM pg_catalog.pg_proc
        WHERE pronamespace = 'pgmq'::pg_catalog.regnamespace
            AND proname = ANY (ARRAY['_send_batch', '_validate_batch_params', 'format_table_name', 'send',
                'send_batch']::text[])
            AND NOT has_function_privilege('golden_worker', oid, 'EXECUTE')
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', found.signature, 'golden_worker');
    END LOOP;
    FOR found IN
        SELECT
            policy.polname,
            class.relname,
            left(encode(sha256(convert_to(jsonb_build_array(
                policy.polname, policy.polcmd::text, policy.polpermissive, 0 = ANY (policy.polroles),
                ARRAY(
                    SELECT rolname FROM pg_catalog.pg_roles
                    WHERE oid = ANY (policy.polroles)
                    ORDER BY rolname COLLATE "C"
                ),
                pg_get_expr(policy.polqual, policy.polrelid),
                pg_get_expr(policy.polwithcheck, policy.polrelid)
            )::text, 'UTF8')), 'hex'), 12) AS live
        FROM pg_catalog.pg_policy AS policy
        JOIN pg_catalog.pg_class AS class ON class.oid = policy.polrelid
        WHERE class.relnamespace = 'pgmq'::pg_catalog.regnamespace
            AND class.relname IN ('q_order_events_dlq', 'a_order_events_dlq')
            AND policy.polname = ANY (ARRAY['changelane_send_insert_953a0fbe',
                'changelane_send_insert_bounds_953a0fbe', 'changelane_send_select_953a0fbe']::text[])
    LOOP
        EXECUTE format(
            'COMMENT ON POLICY %I ON pgmq.%I IS %L', found.polname, found.relname,
            format(
                'changelane:1 project=golden_access access=order_events_dlq spec=98a6542d8f17 live=%s pg=',
                found.live
            ) || current_setting('server_version_num')::int / 10000
        );
    END LOOP;
END
$changelane$;
COMMIT;

-- api
BEGIN;
SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = 0;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL standard_conforming_strings = on;
SET LOCAL quote_all_identifiers = off;
DO $changelane$
BEGIN
    IF to_regnamespace('pgmq_public') IS NULL THEN
        CREATE SCHEMA pgmq_public;
    END IF;
END
$changelane$;
REVOKE ALL ON SCHEMA pgmq_public FROM PUBLIC;

CREATE OR REPLACE FUNCTION pgmq_public.send(queue_name text, message jsonb, sleep_seconds integer DEFAULT 0)
    RETURNS SETOF bigint LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('send_' || lower($1) || '_0')::name
        AND proc.proname < ('send_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 13
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I($1, $2, $3)', own)
            USING ARRAY[$2], NULL::jsonb[], $3;
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM pgmq.send($1, $2, $3);
END
$function$;

CREATE OR REPLACE FUNCTION pgmq_public.send_batch(
    queue_name text, messages jsonb[], sleep_seconds integer DEFAULT 0
)
    RETURNS SETOF bigint LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('send_' || lower($1) || '_0')::name
        AND proc.proname < ('send_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 13
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I($1, $2, $3)', own)
            USING $2, NULL::jsonb[], $3;
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM pgmq.send_batch($1, $2, $3);
END
$function$;

CREATE OR REPLACE FUNCTION pgmq_public.read(queue_name text, sleep_seconds integer, n integer)
    RETURNS SETOF pgmq.message_record LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('read_' || lower($1) || '_0')::name
        AND proc.proname < ('read_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 13
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I($1, $2)', own)
            USING $2, $3;
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM pgmq.read($1, $2, $3);
END
$function$;

CREATE OR REPLACE FUNCTION pgmq_public.pop(queue_name text)
    RETURNS SETOF pgmq.message_record LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('pop_' || lower($1) || '_0')::name
        AND proc.proname < ('pop_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 12
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I()', own);
        RETURN;
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_class AS class
        WHERE class.oid = format('pgmq.%I', pgmq.format_table_name($1, 'q'))::pg_catalog.regclass
            AND (
                pg_catalog.pg_has_role(class.relowner, 'USAGE')
                OR EXISTS (
                    SELECT FROM pg_catalog.pg_policy AS policy, unnest(policy.polroles) AS role
                    WHERE policy.polrelid = class.oid
                        AND policy.polname ~ '^changelane_([a-z]+_)*pop_([a-z]+_)*delete_[0-9a-f]{8}$'
                        AND pg_catalog.pg_has_role(role, 'USAGE')
                )
            )
    ) THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied to pop from queue %I', $1);
    END IF;
    RETURN QUERY SELECT * FROM pgmq.pop($1);
END
$function$;

CREATE OR REPLACE FUNCTION pgmq_public.archive(queue_name text, message_id bigint)
    RETURNS boolean LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
    done boolean;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('archive_' || lower($1) || '_0')::name
        AND proc.proname < ('archive_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 16
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        EXECUTE format('SELECT count(*) > 0 FROM changelane_access.%I($1)', own)
            INTO done USING ARRAY[$2];
        RETURN done;
    END IF;
    RETURN pgmq.archive($1, $2);
END
$function$;

CREATE OR REPLACE FUNCTION pgmq_public.delete(queue_name text, message_id bigint)
    RETURNS boolean LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
    done boolean;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('delete_' || lower($1) || '_0')::name
        AND proc.proname < ('delete_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 15
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        EXECUTE format('SELECT count(*) > 0 FROM changelane_access.%I($1)', own)
            INTO done USING ARRAY[$2];
        RETURN done;
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_class AS class
        WHERE class.oid = format('pgmq.%I', pgmq.format_table_name($1, 'q'))::pg_catalog.regclass
            AND (
                pg_catalog.pg_has_role(class.relowner, 'USAGE')
                OR EXISTS (
                    SELECT FROM pg_catalog.pg_policy AS policy, unnest(policy.polroles) AS role
                    WHERE policy.polrelid = class.oid
                        AND policy.polname ~ '^changelane_([a-z]+_)*delete_([a-z]+_)*delete_[0-9a-f]{8}$'
                        AND pg_catalog.pg_has_role(role, 'USAGE')
                )
            )
    ) THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied to delete from queue %I', $1);
    END IF;
    RETURN pgmq.delete($1, $2);
END
$function$;

-- The functions from here on are not in Supabase's schema.
CREATE OR REPLACE FUNCTION pgmq_public.send_with_headers(
    queue_name text, message jsonb, headers jsonb, sleep_seconds integer DEFAULT 0
)
    RETURNS SETOF bigint LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    -- These headers identify captured changes. Policies refuse them, too, but some roles bypass policies.
    IF $3 ?| ARRAY['route', 'changelane', 'dead_letter']::text[] THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'headers route, changelane, dead_letter are written by Changelane alone';
    END IF;
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('send_' || lower($1) || '_0')::name
        AND proc.proname < ('send_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 13
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I($1, $2, $3)', own)
            USING ARRAY[$2], ARRAY[$3], $4;
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM pgmq.send($1, $2, $3, $4);
END
$function$;

-- It waits at most 30 seconds, because its snapshot keeps vacuum from removing dead rows.
CREATE OR REPLACE FUNCTION pgmq_public.read_with_poll(
    queue_name text, sleep_seconds integer, n integer, max_poll_seconds integer DEFAULT 5
)
    RETURNS SETOF pgmq.message_record LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('poll_' || lower($1) || '_0')::name
        AND proc.proname < ('poll_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 13
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I($1, $2, $3)', own)
            USING $2, $3, $4;
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM pgmq.read_with_poll($1, $2, $3, least($4, 30), 100);
END
$function$;

-- Applies to the delivery with that number only. After a later read, the message belongs to that reader.
CREATE OR REPLACE FUNCTION pgmq_public.set_visibility(
    queue_name text, message_id bigint, read_count integer, sleep_seconds integer
)
    RETURNS boolean LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
    done boolean;
    changed bigint;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('lease_' || lower($1) || '_0')::name
        AND proc.proname < ('lease_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 14
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        EXECUTE format('SELECT count(*) > 0 FROM changelane_access.%I($1, $2, $3)', own)
            INTO done USING $2, $3, $4;
        RETURN done;
    END IF;
    EXECUTE format(
        'UPDATE pgmq.%I SET vt = clock_timestamp() + make_interval(secs => $3)
        WHERE msg_id = $1 AND read_ct = $2',
        pgmq.format_table_name($1, 'q')
    ) USING $2, $3, $4;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed > 0;
END
$function$;

CREATE OR REPLACE FUNCTION pgmq_public.archive_batch(queue_name text, message_ids bigint[])
    RETURNS SETOF bigint LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('archive_' || lower($1) || '_0')::name
        AND proc.proname < ('archive_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 16
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I($1)', own)
            USING $2;
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM pgmq.archive($1, $2);
END
$function$;

CREATE OR REPLACE FUNCTION pgmq_public.delete_batch(queue_name text, message_ids bigint[])
    RETURNS SETOF bigint LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('delete_' || lower($1) || '_0')::name
        AND proc.proname < ('delete_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 15
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I($1)', own)
            USING $2;
        RETURN;
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_class AS class
        WHERE class.oid = format('pgmq.%I', pgmq.format_table_name($1, 'q'))::pg_catalog.regclass
            AND (
                pg_catalog.pg_has_role(class.relowner, 'USAGE')
                OR EXISTS (
                    SELECT FROM pg_catalog.pg_policy AS policy, unnest(policy.polroles) AS role
                    WHERE policy.polrelid = class.oid
                        AND policy.polname ~ '^changelane_([a-z]+_)*delete_([a-z]+_)*delete_[0-9a-f]{8}$'
                        AND pg_catalog.pg_has_role(role, 'USAGE')
                )
            )
    ) THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied to delete from queue %I', $1);
    END IF;
    RETURN QUERY SELECT * FROM pgmq.delete($1, $2);
END
$function$;

-- Counts the messages that the caller may see, up to 10,000.
CREATE OR REPLACE FUNCTION pgmq_public.metrics(queue_name text)
    RETURNS TABLE (
        queue_length bigint, visible_length bigint, oldest_age_seconds float8, newest_age_seconds float8
    )
    LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('metrics_' || lower($1) || '_0')::name
        AND proc.proname < ('metrics_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 16
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I()', own);
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT (SELECT count(*) FROM (SELECT FROM pgmq.%1$I LIMIT 10000) AS capped),
            (SELECT count(*)
                FROM (SELECT FROM pgmq.%1$I WHERE vt <= clock_timestamp() LIMIT 10000) AS capped),
            extract(epoch FROM clock_timestamp()
                - (SELECT enqueued_at FROM pgmq.%1$I ORDER BY msg_id LIMIT 1))::float8,
            extract(epoch FROM clock_timestamp()
                - (SELECT enqueued_at FROM pgmq.%1$I ORDER BY msg_id DESC LIMIT 1))::float8',
        pgmq.format_table_name($1, 'q')
    );
END
$function$;

DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON SCHEMA pgmq_public IS %L',
        format(
            'changelane:1 project=golden_access api=pgmq_public spec=6aabe105751c live=%s pg=',
            left(encode(sha256(convert_to(coalesce((
                SELECT jsonb_agg(jsonb_build_array(
                    proc.proname, pg_get_function_arguments(proc.oid), pg_get_function_result(proc.oid),
                    proc.prosrc, language.lanname, proc.prosecdef, proc.provolatile::text,
                    coalesce(proc.proconfig, '{}')
                ) ORDER BY proc.proname COLLATE "C", pg_get_function_arguments(proc.oid) COLLATE "C")
                FROM pg_catalog.pg_proc AS proc
                JOIN pg_catalog.pg_language AS language ON language.oid = proc.prolang
                WHERE proc.pronamespace = pg_catalog.to_regnamespace('pgmq_public')
                    AND proc.proname IN (
                        'archive', 'archive_batch', 'delete', 'delete_batch', 'metrics', 'pop',
                        'read', 'read_with_poll', 'send', 'send_batch', 'send_with_headers', 'set_visibility'
                    )
            ), '[]')::text, 'UTF8')), 'hex'), 12)
        ) || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;
-- EXECUTE for the roles named here only. Roles with access by another project of this database keep theirs.
DO $changelane$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT DISTINCT acl.grantee
        FROM (
            SELECT coalesce(nspacl, acldefault('n', nspowner)) AS entries, nspowner AS owner
            FROM pg_catalog.pg_namespace WHERE nspname = 'pgmq_public'
            UNION ALL
            SELECT coalesce(proacl, acldefault('f', proowner)), proowner
            FROM pg_catalog.pg_proc
            WHERE pronamespace = to_regnamespace('pgmq_public')
                AND proname = ANY (ARRAY['archive', 'archive_batch', 'delete', 'delete_batch', 'metrics',
                    'pop', 'read', 'read_with_poll', 'send', 'send_batch', 'send_with_headers',
                    'set_visibility']::text[])
        ) AS place, aclexplode(place.entries) AS acl
        WHERE acl.grantee <> place.owner
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_policy AS policy
                WHERE acl.grantee = ANY (policy.polroles)
                    AND pg_catalog.obj_description(policy.oid, 'pg_policy')
                        ~ '^changelane:1 project=\S+ access='
                    AND NOT starts_with(
                        pg_catalog.obj_description(policy.oid, 'pg_policy'),
                        'changelane:1 project=golden_access access='
                    )
            )
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_proc AS proc, aclexplode(proc.proacl) AS held
                WHERE proc.pronamespace = to_regnamespace('changelane_access') AND held.grantee = acl.grantee
                    AND pg_catalog.obj_description(proc.oid, 'pg_proc')
                        ~ '^changelane:1 project=\S+ access='
                    AND NOT starts_with(
                        pg_catalog.obj_description(proc.oid, 'pg_proc'),
                        'changelane:1 project=golden_access access='
                    )
            )
    LOOP
        EXECUTE format(
            'REVOKE ALL ON SCHEMA pgmq_public FROM %1$s;
            REVOKE ALL ON FUNCTION
                pgmq_public."archive",
                pgmq_public."archive_batch",
                pgmq_public."delete",
                pgmq_public."delete_batch",
                pgmq_public."metrics",
                pgmq_public."pop",
                pgmq_public."read",
                pgmq_public."read_with_poll",
                pgmq_public."send",
                pgmq_public."send_batch",
                pgmq_public."send_with_headers",
                pgmq_public."set_visibility"
            FROM %1$s',
            CASE found.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(found.grantee)) END
        );
    END LOOP;
END
$changelane$;
GRANT USAGE ON SCHEMA pgmq_public TO "golden_client";
GRANT EXECUTE ON FUNCTION pgmq_public."archive", pgmq_public."archive_batch", pgmq_public."metrics",
    pgmq_public."read", pgmq_public."read_with_poll", pgmq_public."set_visibility"
    TO "golden_client";
GRANT USAGE ON SCHEMA pgmq_public TO "golden_worker";
GRANT EXECUTE ON FUNCTION pgmq_public."delete", pgmq_public."delete_batch", pgmq_public."metrics",
    pgmq_public."read", pgmq_public."read_with_poll", pgmq_public."send", pgmq_public."send_batch",
    pgmq_public."send_with_headers", pgmq_public."set_visibility"
    TO "golden_worker";
COMMIT;

-- table public.orders
BEGIN;
SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = 0;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL standard_conforming_strings = on;
SET LOCAL quote_all_identifiers = off;
SET LOCAL statement_timeout = '1s';
LOCK TABLE ONLY "public"."orders" IN SHARE ROW EXCLUSIVE MODE;
SET LOCAL statement_timeout = 0;
CREATE OR REPLACE TRIGGER "!orders_insert_8d227704" AFTER INSERT ON "public"."orders"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."orders_insert_8d227704"();
CALL changelane.mark_trigger('!orders_insert_8d227704', '"public"."orders"',
    'changelane:1 project=golden_access route=orders spec=4b9ab0430865 live=aa1aea817997');
COMMIT;
