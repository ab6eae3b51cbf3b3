-- schema, queues and functions
BEGIN;
SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = 0;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL standard_conforming_strings = on;
SET LOCAL quote_all_identifiers = off;
-- One project at a time: two that apply at once would both find the schema missing.
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('changelane:schema', 0));
-- IF NOT EXISTS would want the right to create a schema that is there.
DO $do$ BEGIN
    IF pg_catalog.to_regnamespace('changelane') IS NULL THEN
        CREATE SCHEMA changelane;
    END IF;
END $do$;
REVOKE ALL ON SCHEMA changelane FROM PUBLIC;
SET LOCAL client_min_messages = warning;
-- Until when a worker of a queue sleeps; the capture functions notify it then. UNLOGGED: a crash ends the sleep,
-- for it ends the workers' connections, too.
CREATE UNLOGGED TABLE IF NOT EXISTS changelane.sleepers (queue text PRIMARY KEY, until timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS changelane.pauses (
    queue text PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT pg_catalog.now()
);
-- How far backfills and replays have come, so that those cut short go on where they were.
CREATE TABLE IF NOT EXISTS changelane.progress (
    task text PRIMARY KEY,
    asked jsonb NOT NULL,
    after jsonb,
    done bigint NOT NULL DEFAULT 0,
    since timestamptz NOT NULL DEFAULT pg_catalog.now()
);
-- What is sent at set times, and how far that is. A worker fills in next_at, the next run after since.
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
    -- The last run: its time, and when it was sent.
    last_at timestamptz,
    sent_at timestamptz,
    runs bigint NOT NULL DEFAULT 0,
    passed_over bigint NOT NULL DEFAULT 0,
    paused_at timestamptz,
    PRIMARY KEY (project, name)
);
-- What people changed by the dashboard. Nobody but its owner, and whom they grant it, may write or read it.
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
-- Who may write a table may lock it, and every write that is captured reads this one: so workers write it by functions.
CREATE OR REPLACE FUNCTION changelane.doze(queues text[], seconds double precision) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $doze$
    INSERT INTO changelane.sleepers AS held (queue, until)
    SELECT queue, clock_timestamp() + least(seconds, 60) * interval '1 second'
    FROM (SELECT DISTINCT unnest(queues) AS queue) AS named
    WHERE EXISTS (
        SELECT FROM pg_class WHERE relnamespace = to_regnamespace('pgmq') AND relname = 'q_' || queue
    )
    ORDER BY queue
    ON CONFLICT (queue) DO UPDATE SET until = greatest(held.until, excluded.until);
$doze$;
CREATE OR REPLACE FUNCTION changelane.rouse(queues text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $rouse$
    UPDATE changelane.sleepers SET until = '-infinity' WHERE queue = ANY (queues);
$rouse$;
-- For people: EXECUTE lets a role stop and start workers, and lock no table that they read.
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
-- For workers: go on from a run that is due to the next one, and send it in the same transaction, unless another
-- worker did, or it was paused or declared anew. A null expected sets the first run; a null run sends nothing.
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
CREATE OR REPLACE FUNCTION changelane.send_scheduled(held changelane.schedules, run timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
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
-- For people, as pause and resume of a queue are. What would have run while it was paused does not run later.
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
-- One run more, now, which leaves the next run as it is. Null where there is no such schedule.
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
REVOKE ALL ON FUNCTION changelane.pause(text), changelane.resume(text),
    changelane.send_scheduled(changelane.schedules, timestamptz), changelane.pause_schedule(text, text),
    changelane.resume_schedule(text, text), changelane.run_schedule(text, text) FROM PUBLIC;
-- To whom the schema is open: the owners of functions in it, and workers.
REVOKE ALL ON changelane.sleepers, changelane.pauses, changelane.schedules FROM PUBLIC;
-- By column: tools that compare schemas repeat rights on whole tables, and take PUBLIC for the name of a role.
GRANT SELECT (queue, until) ON changelane.sleepers TO PUBLIC;
GRANT SELECT (queue, since) ON changelane.pauses TO PUBLIC;
GRANT SELECT (
    project, name, queue, cron, every, timezone, body, missed, spec, since, next_at, last_at, sent_at, runs,
    passed_over, paused_at
) ON changelane.schedules TO PUBLIC;
GRANT EXECUTE ON FUNCTION changelane.doze(text[], double precision), changelane.rouse(text[]),
    changelane.advance_schedule(
        text, text, text, timestamptz, timestamptz, timestamptz, bigint, timestamptz
    ) TO PUBLIC;
COMMENT ON SCHEMA changelane IS 'changelane:schema 8';
-- How many bytes the JSON of a row takes. Where Postgres cannot make it: 1 GB.
DO $changelane$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_proc
        WHERE oid = pg_catalog.to_regprocedure('changelane.measure(record)')
            AND (prosrc ~ 'to_jsonb' AND proconfig IS NOT NULL OR NOT pg_catalog.pg_has_role(proowner, 'USAGE'))
    ) THEN
        CREATE OR REPLACE FUNCTION changelane.measure(value record) RETURNS bigint
            LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
            AS $measure$
        DECLARE
            size bigint;
        BEGIN
            -- Text takes less to make, and tells of the largest rows.
            size := pg_catalog.octet_length(value::pg_catalog.text);
            IF size > 67108864 THEN
                RETURN size;
            END IF;
            RETURN pg_catalog.octet_length(pg_catalog.to_jsonb(value)::pg_catalog.text);
        EXCEPTION WHEN OTHERS THEN
            RETURN 1073741824;
        END
        $measure$;
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_proc
        WHERE oid = pg_catalog.to_regprocedure('changelane.digest(text)')
            AND (proconfig IS NOT NULL OR NOT pg_catalog.pg_has_role(proowner, 'USAGE'))
    ) THEN
        -- The hash of a text, as UTF8 where all its characters have a place there.
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
    END IF;
END
$changelane$;
-- For all who may use the schema, whatever default privileges took from PUBLIC.
GRANT EXECUTE ON FUNCTION changelane.measure(record), changelane.digest(text) TO PUBLIC;
DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'events') THEN
        PERFORM pgmq.create('events');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_events',
            'changelane:1 project=golden queue=events spec=2c5f9bb1d34c live=950705191495 pg=' || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;
ALTER TABLE pgmq."q_events" SET (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);
DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'events_dlq') THEN
        PERFORM pgmq.create('events_dlq');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_events_dlq',
            'changelane:1 project=golden queue=events_dlq spec=89e96db7cf5e live=950705191495 pg=' || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;
ALTER TABLE pgmq."q_events_dlq" SET (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);
CREATE OR REPLACE FUNCTION changelane."paid_insert_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET TimeZone = 'UTC'
    SET jit = off
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "paid"}';
    changelane_at text;
    changelane_rows integer;
    message jsonb;
    messages jsonb[];
    bytes bigint := 0;
BEGIN
    -- Most rows are not wanted. This sets up no more than it takes to say so.
    PERFORM FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total", NULL::text AS "note") AS absent,
            LATERAL (SELECT "id", "status", "total", "note", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
    WHERE (new_row."status" = 'paid' and 'insert'::text <> 'delete' and ((CASE WHEN false THEN new_row."total" END) is null or (CASE WHEN false THEN new_row."total" END) < new_row."total")) IS TRUE
    LIMIT 2;
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;

    -- The trace of the writer's session goes along where it set one.
    IF current_setting('changelane.traceparent', true) <> '' THEN
        IF current_setting('changelane.traceparent', true)
            ~ '^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$' THEN
            changelane_headers := changelane_headers
                || jsonb_build_object('traceparent', current_setting('changelane.traceparent', true));
        END IF;
    END IF;

    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', jsonb_build_object(
                'op', 'insert', 'schema', 'public', 'table', 'orders',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row,
                'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp())
        FROM (
            SELECT present.*
            FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total", NULL::text AS "note") AS absent,
                LATERAL (SELECT "id", "status", "total", "note", changelane_new AS changelane_row FROM changelane_new) AS present
        ) AS new_row
        WHERE CASE WHEN greatest(pg_column_size(new_row."status"), pg_column_size(new_row."note")) > 2097152
                    OR pg_column_size(new_row.changelane_row) > 131072 THEN false ELSE ((new_row."status" = 'paid' and 'insert'::text <> 'delete' and ((CASE WHEN false THEN new_row."total" END) is null or (CASE WHEN false THEN new_row."total" END) < new_row."total")) IS TRUE) END;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        -- Not part of the condition above, which would then be asked in a query each time.
        IF NOT EXISTS (
            SELECT FROM (
                SELECT present.*
                FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total", NULL::text AS "note") AS absent,
                    LATERAL (SELECT "id", "status", "total", "note", changelane_new AS changelane_row FROM changelane_new) AS present
            ) AS new_row
            WHERE greatest(pg_column_size(new_row."status"), pg_column_size(new_row."note")) > 2097152
                    OR pg_column_size(new_row.changelane_row) > 131072
        ) THEN
            RETURN NULL;
        END IF;
    END IF;

    changelane_at := to_jsonb(clock_timestamp()) #>> '{}';
    messages := '{}';
    FOR message IN
        SELECT CASE
            WHEN pg_column_size(new_row."status") > 2097152 AND changelane.measure(ROW(new_row."status")) > 67108864 OR pg_column_size(new_row."note") > 2097152 AND changelane.measure(ROW(new_row."note")) > 67108864
                OR (pg_column_size(new_row.changelane_row) > 131072)
                AND changelane.measure(new_row.changelane_row) > 16777216 THEN jsonb_build_object(
            'op', 'insert', 'schema', 'public', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', jsonb_build_object('id', new_row."id"),
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', changelane_at, 'truncated', true
        )
            ELSE jsonb_build_object(
            'op', 'insert', 'schema', 'public', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', new_row.changelane_row,
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', changelane_at
        )
        END
        FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total", NULL::text AS "note") AS absent,
            LATERAL (SELECT "id", "status", "total", "note", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
        WHERE ((new_row."status" = 'paid' and 'insert'::text <> 'delete' and ((CASE WHEN false THEN new_row."total" END) is null or (CASE WHEN false THEN new_row."total" END) < new_row."total")) IS TRUE)
    LOOP
        messages := messages || message;
        bytes := bytes + pg_column_size(message);
        IF cardinality(messages) = 1000 OR bytes > 8388608 THEN
            PERFORM pgmq.send_batch('events', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
            bytes := 0;
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('events', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."paid_insert_71eb967f"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'paid_insert_71eb967f',
        'changelane:1 project=golden route=paid spec=b36ae819d630 live=428039f3dc99 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;
-- An expression that does not suit the table fails here, and not in the application's writes.
DO $changelane$
BEGIN
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL jit = off;
    PERFORM FROM (SELECT (NULL::"public"."orders").*) AS new_row
    WHERE false AND num_nulls((new_row."status" = 'paid' and 'insert'::text <> 'delete' and ((CASE WHEN false THEN new_row."total" END) is null or (CASE WHEN false THEN new_row."total" END) < new_row."total")) IS TRUE) = 0;
END
$changelane$;
CREATE OR REPLACE FUNCTION changelane."paid_update_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET TimeZone = 'UTC'
    SET jit = off
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "paid"}';
    changelane_at text;
    changelane_rows integer;
    message jsonb;
    messages jsonb[];
    bytes bigint := 0;
BEGIN
    -- None, one, or more.
    PERFORM FROM changelane_new LIMIT 2;
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;

    IF changelane_rows = 1 THEN
        PERFORM FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total", NULL::text AS "note") AS absent,
            LATERAL (SELECT "id", "status", "total", "note", changelane_old AS changelane_row FROM changelane_old) AS present
    ) AS old_row, (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total", NULL::text AS "note") AS absent,
            LATERAL (SELECT "id", "status", "total", "note", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
        WHERE (ROW(old_row."status", old_row."total")::record *<> ROW(new_row."status", new_row."total")::record AND (new_row."status" = 'paid' and 'update'::text <> 'delete' and (old_row."total" is null or old_row."total" < new_row."total")) IS TRUE);
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    END IF;

    -- The trace of the writer's session goes along where it set one.
    IF current_setting('changelane.traceparent', true) <> '' THEN
        IF current_setting('changelane.traceparent', true)
            ~ '^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$' THEN
            changelane_headers := changelane_headers
                || jsonb_build_object('traceparent', current_setting('changelane.traceparent', true));
        END IF;
    END IF;

    IF changelane_rows = 1 THEN
        -- All that the product of both sides holds is their pair.
        PERFORM pgmq.send('events', jsonb_build_object(
                'op', 'update', 'schema', 'public', 'table', 'orders',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row,
                'old', old_row.changelane_row,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp())
        FROM (
            SELECT present.*
            FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total", NULL::text AS "note") AS absent,
                LATERAL (SELECT "id", "status", "total", "note", changelane_old AS changelane_row FROM changelane_old) AS present
        ) AS old_row, (
            SELECT present.*
            FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total", NULL::text AS "note") AS absent,
                LATERAL (SELECT "id", "status", "total", "note", changelane_new AS changelane_row FROM changelane_new) AS present
        ) AS new_row
        WHERE CASE WHEN greatest(pg_column_size(old_row."status"), pg_column_size(old_row."note"), pg_column_size(new_row."status"), pg_column_size(new_row."note")) > 2097152
                    OR pg_column_size(old_row.changelane_row) + pg_column_size(new_row.changelane_row) > 131072 THEN false ELSE (ROW(old_row."status", old_row."total")::record *<> ROW(new_row."status", new_row."total")::record AND (new_row."status" = 'paid' and 'update'::text <> 'delete' and (old_row."total" is null or old_row."total" < new_row."total")) IS TRUE) END;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        -- Not part of the condition above, which would then be asked in a query each time.
        IF NOT EXISTS (
            SELECT FROM (
                SELECT present.*
                FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total", NULL::text AS "note") AS absent,
                    LATERAL (SELECT "id", "status", "total", "note", changelane_old AS changelane_row FROM changelane_old) AS present
            ) AS old_row, (
                SELECT present.*
                FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total", NULL::text AS "note") AS absent,
                    LATERAL (SELECT "id", "status", "total", "note", changelane_new AS changelane_row FROM changelane_new) AS present
            ) AS new_row
            WHERE greatest(pg_column_size(old_row."status"), pg_column_size(old_row."note"), pg_column_size(new_row."status"), pg_column_size(new_row."note")) > 2097152
                    OR pg_column_size(old_row.changelane_row) + pg_column_size(new_row.changelane_row) > 131072
        ) THEN
            RETURN NULL;
        END IF;
    END IF;

    changelane_at := to_jsonb(clock_timestamp()) #>> '{}';
    messages := '{}';
    FOR message IN
        SELECT CASE
            WHEN num_nulls(old_row.changelane_row, new_row.changelane_row) > 0
                OR (pg_column_size(old_row.changelane_row) + pg_column_size(new_row.changelane_row) > 131072)
                AND changelane.measure(old_row.changelane_row) + changelane.measure(new_row.changelane_row) > 16777216 THEN jsonb_build_object(
            'op', 'update', 'schema', 'public', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', jsonb_build_object('id', new_row."id"),
            'old', jsonb_build_object('id', old_row."id"),
            'txid', pg_current_xact_id()::text, 'at', changelane_at, 'truncated', true
        )
            ELSE jsonb_build_object(
            'op', 'update', 'schema', 'public', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', new_row.changelane_row,
            'old', old_row.changelane_row,
            'txid', pg_current_xact_id()::text, 'at', changelane_at
        )
        END
        FROM (
        SELECT row_number() OVER () AS changelane_number, present.*
        FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total", NULL::text AS "note") AS absent,
            LATERAL (SELECT "id", "status", "total", "note", CASE WHEN pg_column_size("status") > 2097152 AND changelane.measure(ROW("status")) > 67108864 OR pg_column_size("note") > 2097152 AND changelane.measure(ROW("note")) > 67108864 THEN NULL ELSE changelane_old END AS changelane_row FROM changelane_old) AS present
    ) AS old_row
    -- Both sides hold the rows in one order, so their numbers pair them whatever became of their keys. A full join
    -- never runs as a nested loop, whatever number of rows its plan was first made for.
    FULL JOIN (
        SELECT row_number() OVER () AS changelane_number, present.*
        FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total", NULL::text AS "note") AS absent,
            LATERAL (SELECT "id", "status", "total", "note", CASE WHEN pg_column_size("status") > 2097152 AND changelane.measure(ROW("status")) > 67108864 OR pg_column_size("note") > 2097152 AND changelane.measure(ROW("note")) > 67108864 THEN NULL ELSE changelane_new END AS changelane_row FROM changelane_new) AS present
    ) AS new_row USING (changelane_number)
        WHERE (ROW(old_row."status", old_row."total")::record *<> ROW(new_row."status", new_row."total")::record AND (new_row."status" = 'paid' and 'update'::text <> 'delete' and (old_row."total" is null or old_row."total" < new_row."total")) IS TRUE)
    LOOP
        messages := messages || message;
        bytes := bytes + pg_column_size(message);
        IF cardinality(messages) = 1000 OR bytes > 8388608 THEN
            PERFORM pgmq.send_batch('events', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
            bytes := 0;
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('events', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."paid_update_71eb967f"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'paid_update_71eb967f',
        'changelane:1 project=golden route=paid spec=0f48ca806e71 live=53a68a87d1a5 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;
-- An expression that does not suit the table fails here, and not in the application's writes.
DO $changelane$
BEGIN
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL jit = off;
    PERFORM FROM (SELECT (NULL::"public"."orders").*) AS old_row, (SELECT (NULL::"public"."orders").*) AS new_row
    WHERE false AND num_nulls((new_row."status" = 'paid' and 'update'::text <> 'delete' and (old_row."total" is null or old_row."total" < new_row."total")) IS TRUE) = 0;
END
$changelane$;
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
CREATE OR REPLACE TRIGGER "!paid_insert_71eb967f"
    AFTER INSERT ON "public"."orders"
    REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."paid_insert_71eb967f"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        '!paid_insert_71eb967f', 'public', 'orders',
        'changelane:1 project=golden route=paid spec=b36ae819d630 live=131c5bb6385e pg=' || current_setting('server_version_num')::int / 10000
    );
EXCEPTION WHEN insufficient_privilege THEN
    -- The table belongs to another role: its trigger is known by the function that it calls.
    NULL;
END
$changelane$;
CREATE OR REPLACE TRIGGER "!paid_update_71eb967f"
    AFTER UPDATE ON "public"."orders"
    REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."paid_update_71eb967f"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        '!paid_update_71eb967f', 'public', 'orders',
        'changelane:1 project=golden route=paid spec=0f48ca806e71 live=b273d92074e5 pg=' || current_setting('server_version_num')::int / 10000
    );
EXCEPTION WHEN insufficient_privilege THEN
    -- The table belongs to another role: its trigger is known by the function that it calls.
    NULL;
END
$changelane$;
COMMIT;
