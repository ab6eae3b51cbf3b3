-- Written by `changelane generate`: edit pipelines.yaml, not this file.
CREATE SCHEMA IF NOT EXISTS changelane;
-- How many bytes the text of a row takes. Postgres cannot make the text of every row that it holds: more than 1 GB, then.
DO $changelane$
BEGIN
    IF pg_catalog.to_regprocedure('changelane.measure(record)') IS NULL THEN
        CREATE FUNCTION changelane.measure(value record) RETURNS bigint
            LANGUAGE plpgsql STABLE
            AS $measure$
        BEGIN
            RETURN pg_catalog.octet_length(value::pg_catalog.text);
        EXCEPTION WHEN OTHERS THEN
            RETURN 1073741824;
        END
        $measure$;
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

    PERFORM pgmq.send('events', CASE
            WHEN pg_column_size(new_row.changelane_row) > 131072 AND (pg_column_size(new_row.changelane_row) > 16777216 OR changelane.measure(new_row.changelane_row) > 16777216) THEN jsonb_build_object(
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
            LATERAL (SELECT "id", "animals_insert_89feaa0a".NEW AS changelane_row FROM (SELECT NEW.*) AS source) AS present
    ) AS new_row
    WHERE (true);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."animals_insert_89feaa0a"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'animals_insert_89feaa0a',
        'changelane:1 project=golden route=animals spec=eec23e338a6a live=205deb14cf03 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "animals_insert_89feaa0a"
    AFTER INSERT ON "public"."animals"
    FOR EACH ROW EXECUTE FUNCTION changelane."animals_insert_89feaa0a"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        'animals_insert_89feaa0a', 'public', 'animals',
        'changelane:1 project=golden route=animals spec=eec23e338a6a live=65c83b5f30e9 pg=' || current_setting('server_version_num')::int / 10000
    );
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

    PERFORM pgmq.send('events', CASE
            WHEN pg_column_size(new_row.changelane_row) > 131072 AND (pg_column_size(new_row.changelane_row) > 16777216 OR changelane.measure(new_row.changelane_row) > 16777216) THEN jsonb_build_object(
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
            LATERAL (SELECT "id", "animals_insert_f2cbfc48".NEW AS changelane_row FROM (SELECT NEW.*) AS source) AS present
    ) AS new_row
    WHERE (true);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."animals_insert_f2cbfc48"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'animals_insert_f2cbfc48',
        'changelane:1 project=golden route=animals spec=f4b6445f12db live=2a76f8299c0d pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "animals_insert_f2cbfc48"
    AFTER INSERT ON "public"."cats"
    FOR EACH ROW EXECUTE FUNCTION changelane."animals_insert_f2cbfc48"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        'animals_insert_f2cbfc48', 'public', 'cats',
        'changelane:1 project=golden route=animals spec=f4b6445f12db live=d742f03af11c pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;
