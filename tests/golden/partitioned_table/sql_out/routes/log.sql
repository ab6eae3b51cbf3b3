-- Written by `changelane generate`: edit pipelines.yaml, not this file.
CREATE SCHEMA IF NOT EXISTS changelane;

CREATE OR REPLACE FUNCTION changelane."log_insert_f8ee3224"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET TimeZone = 'UTC'
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "log"}';
BEGIN
    -- The trace of the writer's session goes along where it set one.
    IF current_setting('changelane.traceparent', true) <> '' THEN
        IF current_setting('changelane.traceparent', true)
            ~ '^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$' THEN
            changelane_headers := changelane_headers
                || jsonb_build_object('traceparent', current_setting('changelane.traceparent', true));
        END IF;
    END IF;

    PERFORM pgmq.send('events', jsonb_build_object(
            'op', 'insert', 'schema', 'public', 'table', 'log',
            'key', jsonb_build_object('id', new_row."id", 'at', new_row."at"),
            'new', new_row.changelane_row,
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
        ), changelane_headers, clock_timestamp())
    FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id", NULL::date AS "at") AS absent,
            LATERAL (SELECT "id", "at", "log_insert_f8ee3224".NEW AS changelane_row FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS present
    ) AS new_row
    WHERE (true);
    RETURN NULL;
END
$changelane$;
-- The table's number in the body makes each session plan anew after ALTER TABLE, whatever the table is called then.
DO $changelane$
BEGIN
    EXECUTE replace(
        pg_get_functiondef('changelane."log_insert_f8ee3224"()'::regprocedure), '''0''::regclass /* this table */',
        replace('''0''::regclass /* this table */', '0', '"public"."log"'::regclass::oid::text)
    );
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."log_insert_f8ee3224"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'log_insert_f8ee3224',
        'changelane:1 project=golden route=log spec=47e598af95ba live=794fca0639bb pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "!log_insert_f8ee3224"
    AFTER INSERT ON "public"."log"
    FOR EACH ROW EXECUTE FUNCTION changelane."log_insert_f8ee3224"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        '!log_insert_f8ee3224', 'public', 'log',
        'changelane:1 project=golden route=log spec=47e598af95ba live=32df96931410 pg=' || current_setting('server_version_num')::int / 10000
    );
EXCEPTION WHEN insufficient_privilege THEN
    -- The table belongs to another role: its trigger is known by the function that it calls.
    NULL;
END
$changelane$;

CREATE OR REPLACE FUNCTION changelane."log_update_f8ee3224"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET TimeZone = 'UTC'
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "log"}';
BEGIN
    -- The trace of the writer's session goes along where it set one.
    IF current_setting('changelane.traceparent', true) <> '' THEN
        IF current_setting('changelane.traceparent', true)
            ~ '^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$' THEN
            changelane_headers := changelane_headers
                || jsonb_build_object('traceparent', current_setting('changelane.traceparent', true));
        END IF;
    END IF;

    PERFORM pgmq.send('events', jsonb_build_object(
            'op', 'update', 'schema', 'public', 'table', 'log',
            'key', jsonb_build_object('id', new_row."id", 'at', new_row."at"),
            'new', new_row.changelane_row,
            'old', old_row.changelane_row,
            'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
        ), changelane_headers, clock_timestamp())
    FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id", NULL::date AS "at") AS absent,
            LATERAL (SELECT "id", "at", "log_update_f8ee3224".OLD AS changelane_row FROM (SELECT OLD.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS present
    ) AS old_row, (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id", NULL::date AS "at") AS absent,
            LATERAL (SELECT "id", "at", "log_update_f8ee3224".NEW AS changelane_row FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS present
    ) AS new_row
    WHERE (old_row.changelane_row *<> new_row.changelane_row);
    RETURN NULL;
END
$changelane$;
-- The table's number in the body makes each session plan anew after ALTER TABLE, whatever the table is called then.
DO $changelane$
BEGIN
    EXECUTE replace(
        pg_get_functiondef('changelane."log_update_f8ee3224"()'::regprocedure), '''0''::regclass /* this table */',
        replace('''0''::regclass /* this table */', '0', '"public"."log"'::regclass::oid::text)
    );
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."log_update_f8ee3224"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'log_update_f8ee3224',
        'changelane:1 project=golden route=log spec=e879987afb2a live=c2c43e91fb8f pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "!log_update_f8ee3224"
    AFTER UPDATE ON "public"."log"
    FOR EACH ROW EXECUTE FUNCTION changelane."log_update_f8ee3224"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        '!log_update_f8ee3224', 'public', 'log',
        'changelane:1 project=golden route=log spec=e879987afb2a live=59295c3ad4c5 pg=' || current_setting('server_version_num')::int / 10000
    );
EXCEPTION WHEN insufficient_privilege THEN
    -- The table belongs to another role: its trigger is known by the function that it calls.
    NULL;
END
$changelane$;
