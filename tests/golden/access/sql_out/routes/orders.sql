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

CREATE OR REPLACE FUNCTION changelane."orders_insert_8d227704"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET TimeZone = 'UTC'
    SET jit = off
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "orders"}';
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

    -- The trace of the writer's session goes along where it set one.
    IF current_setting('changelane.traceparent', true) <> '' THEN
        IF current_setting('changelane.traceparent', true)
            ~ '^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$' THEN
            changelane_headers := changelane_headers
                || jsonb_build_object('traceparent', current_setting('changelane.traceparent', true));
        END IF;
    END IF;

    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('order_events', jsonb_build_object(
                'op', 'insert', 'schema', 'public', 'table', 'orders',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row,
                'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp())
        FROM (
            SELECT present.*
            FROM (SELECT NULL::bigint AS "id") AS absent,
                LATERAL (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS present
        ) AS new_row
        WHERE CASE WHEN pg_column_size(new_row.changelane_row) > 131072 THEN false ELSE (true) END;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        -- Not part of the condition above, which would then be asked in a query each time.
        IF NOT EXISTS (
            SELECT FROM (
                SELECT present.*
                FROM (SELECT NULL::bigint AS "id") AS absent,
                    LATERAL (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS present
            ) AS new_row
            WHERE pg_column_size(new_row.changelane_row) > 131072
        ) THEN
            RETURN NULL;
        END IF;
    END IF;

    changelane_at := to_jsonb(clock_timestamp()) #>> '{}';
    messages := '{}';
    FOR message IN
        SELECT CASE
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
        END
        FROM (
        SELECT present.*
        FROM (SELECT NULL::bigint AS "id") AS absent,
            LATERAL (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
        WHERE (true)
    LOOP
        messages := messages || message;
        bytes := bytes + pg_column_size(message);
        IF cardinality(messages) = 1000 OR bytes > 8388608 THEN
            PERFORM pgmq.send_batch('order_events', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
            bytes := 0;
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('order_events', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_8d227704"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'orders_insert_8d227704',
        'changelane:1 project=golden_access route=orders spec=b3eeebbf66e4 live=4e49066edb67 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "!orders_insert_8d227704"
    AFTER INSERT ON "public"."orders"
    REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."orders_insert_8d227704"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        '!orders_insert_8d227704', 'public', 'orders',
        'changelane:1 project=golden_access route=orders spec=b3eeebbf66e4 live=aa1aea817997 pg=' || current_setting('server_version_num')::int / 10000
    );
EXCEPTION WHEN insufficient_privilege THEN
    -- The table belongs to another role: its trigger is known by the function that it calls.
    NULL;
END
$changelane$;
