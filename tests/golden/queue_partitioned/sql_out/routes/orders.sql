-- Written by `changelane generate`: edit pipelines.yaml, not this file.
CREATE SCHEMA IF NOT EXISTS changelane;
CREATE UNLOGGED TABLE IF NOT EXISTS changelane.sleepers (queue text PRIMARY KEY, until timestamptz NOT NULL);
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

CREATE OR REPLACE FUNCTION changelane."orders_insert_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET TimeZone = 'UTC'
    SET jit = off
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "orders"}';
    changelane_at text;
BEGIN
    -- The trace of the writer's session goes along where it set one.
    IF current_setting('changelane.traceparent', true) <> '' THEN
        IF current_setting('changelane.traceparent', true)
            ~ '^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$' THEN
            changelane_headers := changelane_headers
                || jsonb_build_object('traceparent', current_setting('changelane.traceparent', true));
        END IF;
    END IF;

    changelane_at := to_jsonb(clock_timestamp()) #>> '{}';
    WITH made AS MATERIALIZED (
        SELECT clock_timestamp() AS vt, CASE
            WHEN (pg_column_size(new_row.changelane_row) > 131072)
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
        END AS message
        FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id") AS absent,
            LATERAL (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
        WHERE (true)
    )
    INSERT INTO pgmq."q_events" (vt, message, headers)
    SELECT vt, message, changelane_headers || jsonb_build_object('x-pgmq-group', message ->> 'key') FROM made;
    IF FOUND THEN
        PERFORM pg_notify('changelane_events', '') FROM changelane.sleepers WHERE queue = 'events' AND until > clock_timestamp();
    END IF;
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_71eb967f"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'orders_insert_71eb967f',
        'changelane:1 project=golden route=orders spec=768e8f110e8e live=db882e329a84 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "!orders_insert_71eb967f"
    AFTER INSERT ON "public"."orders"
    REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."orders_insert_71eb967f"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        '!orders_insert_71eb967f', 'public', 'orders',
        'changelane:1 project=golden route=orders spec=768e8f110e8e live=f4bd63d50401 pg=' || current_setting('server_version_num')::int / 10000
    );
EXCEPTION WHEN insufficient_privilege THEN
    -- The table belongs to another role: its trigger is known by the function that it calls.
    NULL;
END
$changelane$;
