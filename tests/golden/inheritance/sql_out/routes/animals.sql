-- Written by `changelane generate`: edit pipelines.yaml, not this file.
CREATE SCHEMA IF NOT EXISTS changelane;
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

CREATE OR REPLACE FUNCTION changelane."animals_insert_89feaa0a"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET TimeZone = 'UTC'
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "animals"}';
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
            'op', 'insert', 'schema', 'public', 'table', 'animals',
            'key', jsonb_build_object('id', new_row."id"),
            'new', new_row.changelane_row,
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
        ), changelane_headers, clock_timestamp())
    FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id") AS absent,
            LATERAL (SELECT "id", "animals_insert_89feaa0a".NEW AS changelane_row FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS present
    ) AS new_row
    WHERE CASE WHEN pg_column_size(new_row.changelane_row) > 131072 THEN false ELSE (true) END;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    -- A query of its own, for what it may say costs when it is set up.
    IF EXISTS (
        SELECT FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id") AS absent,
            LATERAL (SELECT "id", "animals_insert_89feaa0a".NEW AS changelane_row FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS present
    ) AS new_row
        WHERE pg_column_size(new_row.changelane_row) > 131072
    ) THEN
        PERFORM pgmq.send('events', CASE
                WHEN (pg_column_size(new_row.changelane_row) > 131072)
                    AND changelane.measure(new_row.changelane_row) > 16777216 THEN jsonb_build_object(
                'op', 'insert', 'schema', 'public', 'table', 'animals',
                'key', jsonb_build_object('id', new_row."id"),
                'new', jsonb_build_object('id', new_row."id"),
                'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp(), 'truncated', true
            )
                ELSE jsonb_build_object(
                'op', 'insert', 'schema', 'public', 'table', 'animals',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row,
                'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            )
            END, changelane_headers, clock_timestamp())
        FROM (
            SELECT present.*
            FROM (SELECT NULL::integer AS "id") AS absent,
                LATERAL (SELECT "id", "animals_insert_89feaa0a".NEW AS changelane_row FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS present
        ) AS new_row
        WHERE (true);
    END IF;
    RETURN NULL;
END
$changelane$;
-- The table's number in the body makes each session plan anew after ALTER TABLE, whatever the table is called then.
DO $changelane$
BEGIN
    EXECUTE replace(
        pg_get_functiondef('changelane."animals_insert_89feaa0a"()'::regprocedure), '''0''::regclass /* this table */',
        replace('''0''::regclass /* this table */', '0', '"public"."animals"'::regclass::oid::text)
    );
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."animals_insert_89feaa0a"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'animals_insert_89feaa0a',
        'changelane:1 project=golden route=animals spec=33586c41f9f1 live=4c5fe0f26565 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "!animals_insert_89feaa0a"
    AFTER INSERT ON "public"."animals"
    FOR EACH ROW EXECUTE FUNCTION changelane."animals_insert_89feaa0a"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        '!animals_insert_89feaa0a', 'public', 'animals',
        'changelane:1 project=golden route=animals spec=33586c41f9f1 live=65c83b5f30e9 pg=' || current_setting('server_version_num')::int / 10000
    );
EXCEPTION WHEN insufficient_privilege THEN
    -- The table belongs to another role: its trigger is known by the function that it calls.
    NULL;
END
$changelane$;

CREATE OR REPLACE FUNCTION changelane."animals_insert_f2cbfc48"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET TimeZone = 'UTC'
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "animals"}';
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
            'op', 'insert', 'schema', 'public', 'table', 'animals',
            'key', jsonb_build_object('id', new_row."id"),
            'new', new_row.changelane_row,
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
        ), changelane_headers, clock_timestamp())
    FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id") AS absent,
            LATERAL (SELECT "id", "animals_insert_f2cbfc48".NEW AS changelane_row FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS present
    ) AS new_row
    WHERE CASE WHEN pg_column_size(new_row.changelane_row) > 131072 THEN false ELSE (true) END;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    -- A query of its own, for what it may say costs when it is set up.
    IF EXISTS (
        SELECT FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id") AS absent,
            LATERAL (SELECT "id", "animals_insert_f2cbfc48".NEW AS changelane_row FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS present
    ) AS new_row
        WHERE pg_column_size(new_row.changelane_row) > 131072
    ) THEN
        PERFORM pgmq.send('events', CASE
                WHEN (pg_column_size(new_row.changelane_row) > 131072)
                    AND changelane.measure(new_row.changelane_row) > 16777216 THEN jsonb_build_object(
                'op', 'insert', 'schema', 'public', 'table', 'animals',
                'key', jsonb_build_object('id', new_row."id"),
                'new', jsonb_build_object('id', new_row."id"),
                'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp(), 'truncated', true
            )
                ELSE jsonb_build_object(
                'op', 'insert', 'schema', 'public', 'table', 'animals',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row,
                'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            )
            END, changelane_headers, clock_timestamp())
        FROM (
            SELECT present.*
            FROM (SELECT NULL::integer AS "id") AS absent,
                LATERAL (SELECT "id", "animals_insert_f2cbfc48".NEW AS changelane_row FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS present
        ) AS new_row
        WHERE (true);
    END IF;
    RETURN NULL;
END
$changelane$;
-- The table's number in the body makes each session plan anew after ALTER TABLE, whatever the table is called then.
DO $changelane$
BEGIN
    EXECUTE replace(
        pg_get_functiondef('changelane."animals_insert_f2cbfc48"()'::regprocedure), '''0''::regclass /* this table */',
        replace('''0''::regclass /* this table */', '0', '"public"."cats"'::regclass::oid::text)
    );
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."animals_insert_f2cbfc48"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'animals_insert_f2cbfc48',
        'changelane:1 project=golden route=animals spec=b003673d728e live=82e8f21ae7ee pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "!animals_insert_f2cbfc48"
    AFTER INSERT ON "public"."cats"
    FOR EACH ROW EXECUTE FUNCTION changelane."animals_insert_f2cbfc48"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        '!animals_insert_f2cbfc48', 'public', 'cats',
        'changelane:1 project=golden route=animals spec=b003673d728e live=d742f03af11c pg=' || current_setting('server_version_num')::int / 10000
    );
EXCEPTION WHEN insufficient_privilege THEN
    -- The table belongs to another role: its trigger is known by the function that it calls.
    NULL;
END
$changelane$;
