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

CREATE OR REPLACE FUNCTION changelane."sold_items_insert_430938cf"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET TimeZone = 'UTC'
    SET jit = off
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "sold_items"}';
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
        PERFORM pgmq.send('sold_items', jsonb_build_object(
                'op', 'insert', 'schema', 'shop', 'table', 'order_items',
                'key', jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
                'new', new_row.changelane_row,
                'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp()),
            (SELECT pg_notify('changelane_sold_items', '') FROM changelane.sleepers WHERE queue = 'sold_items' AND until > clock_timestamp())
        FROM (
            SELECT present.*
            FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent,
                LATERAL (SELECT "order_id", "position", changelane_new AS changelane_row FROM changelane_new) AS present
        ) AS new_row
        WHERE CASE WHEN pg_column_size(new_row.changelane_row) > 131072 THEN false ELSE (true) END;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        -- Not part of the condition above, which would then be asked in a query each time.
        IF NOT EXISTS (
            SELECT FROM (
                SELECT present.*
                FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent,
                    LATERAL (SELECT "order_id", "position", changelane_new AS changelane_row FROM changelane_new) AS present
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
            'op', 'insert', 'schema', 'shop', 'table', 'order_items',
            'key', jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
            'new', jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', changelane_at, 'truncated', true
        )
            ELSE jsonb_build_object(
            'op', 'insert', 'schema', 'shop', 'table', 'order_items',
            'key', jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
            'new', new_row.changelane_row,
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', changelane_at
        )
        END
        FROM (
        SELECT present.*
        FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent,
            LATERAL (SELECT "order_id", "position", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
        WHERE (true)
    LOOP
        messages := messages || message;
        bytes := bytes + pg_column_size(message);
        IF cardinality(messages) = 1000 OR bytes > 8388608 THEN
            PERFORM pgmq.send_batch('sold_items', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
            bytes := 0;
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('sold_items', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    PERFORM pg_notify('changelane_sold_items', '') FROM changelane.sleepers WHERE queue = 'sold_items' AND until > clock_timestamp();
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."sold_items_insert_430938cf"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'sold_items_insert_430938cf',
        'changelane:1 project=shop route=sold_items spec=7d137b6c2026 live=baec58208c26 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "!sold_items_insert_430938cf"
    AFTER INSERT ON "shop"."order_items"
    REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."sold_items_insert_430938cf"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        '!sold_items_insert_430938cf', 'shop', 'order_items',
        'changelane:1 project=shop route=sold_items spec=7d137b6c2026 live=eba5ad6bf22a pg=' || current_setting('server_version_num')::int / 10000
    );
EXCEPTION WHEN insufficient_privilege THEN
    -- The table belongs to another role: its trigger is known by the function that it calls.
    NULL;
END
$changelane$;

CREATE OR REPLACE FUNCTION changelane."sold_items_update_430938cf"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET TimeZone = 'UTC'
    SET jit = off
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "sold_items"}';
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
        -- All that the product of both sides holds is their pair.
        PERFORM pgmq.send('sold_items', jsonb_build_object(
                'op', 'update', 'schema', 'shop', 'table', 'order_items',
                'key', jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
                'new', new_row.changelane_row,
                'old', old_row.changelane_row,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp()),
            (SELECT pg_notify('changelane_sold_items', '') FROM changelane.sleepers WHERE queue = 'sold_items' AND until > clock_timestamp())
        FROM (
            SELECT present.*
            FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent,
                LATERAL (SELECT "order_id", "position", changelane_old AS changelane_row FROM changelane_old) AS present
        ) AS old_row, (
            SELECT present.*
            FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent,
                LATERAL (SELECT "order_id", "position", changelane_new AS changelane_row FROM changelane_new) AS present
        ) AS new_row
        WHERE CASE WHEN pg_column_size(old_row.changelane_row) + pg_column_size(new_row.changelane_row) > 131072 THEN false ELSE (old_row.changelane_row *<> new_row.changelane_row) END;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        -- Not part of the condition above, which would then be asked in a query each time.
        IF NOT EXISTS (
            SELECT FROM (
                SELECT present.*
                FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent,
                    LATERAL (SELECT "order_id", "position", changelane_old AS changelane_row FROM changelane_old) AS present
            ) AS old_row, (
                SELECT present.*
                FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent,
                    LATERAL (SELECT "order_id", "position", changelane_new AS changelane_row FROM changelane_new) AS present
            ) AS new_row
            WHERE pg_column_size(old_row.changelane_row) + pg_column_size(new_row.changelane_row) > 131072
        ) THEN
            RETURN NULL;
        END IF;
    END IF;

    changelane_at := to_jsonb(clock_timestamp()) #>> '{}';
    messages := '{}';
    FOR message IN
        SELECT CASE
            WHEN (pg_column_size(old_row.changelane_row) + pg_column_size(new_row.changelane_row) > 131072)
                AND changelane.measure(old_row.changelane_row) + changelane.measure(new_row.changelane_row) > 16777216 THEN jsonb_build_object(
            'op', 'update', 'schema', 'shop', 'table', 'order_items',
            'key', jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
            'new', jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
            'old', jsonb_build_object('order_id', old_row."order_id", 'position', old_row."position"),
            'txid', pg_current_xact_id()::text, 'at', changelane_at, 'truncated', true
        )
            ELSE jsonb_build_object(
            'op', 'update', 'schema', 'shop', 'table', 'order_items',
            'key', jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
            'new', new_row.changelane_row,
            'old', old_row.changelane_row,
            'txid', pg_current_xact_id()::text, 'at', changelane_at
        )
        END
        FROM (
        SELECT row_number() OVER () AS changelane_number, present.*
        FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent,
            LATERAL (SELECT "order_id", "position", changelane_old AS changelane_row FROM changelane_old) AS present
    ) AS old_row
    -- Both sides hold the rows in one order, so their numbers pair them whatever became of their keys. A full join
    -- never runs as a nested loop, whatever number of rows its plan was first made for.
    FULL JOIN (
        SELECT row_number() OVER () AS changelane_number, present.*
        FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent,
            LATERAL (SELECT "order_id", "position", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row USING (changelane_number)
        WHERE (old_row.changelane_row *<> new_row.changelane_row)
    LOOP
        messages := messages || message;
        bytes := bytes + pg_column_size(message);
        IF cardinality(messages) = 1000 OR bytes > 8388608 THEN
            PERFORM pgmq.send_batch('sold_items', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
            bytes := 0;
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('sold_items', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    PERFORM pg_notify('changelane_sold_items', '') FROM changelane.sleepers WHERE queue = 'sold_items' AND until > clock_timestamp();
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."sold_items_update_430938cf"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'sold_items_update_430938cf',
        'changelane:1 project=shop route=sold_items spec=366c5a2f0b04 live=bfe61279b369 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "!sold_items_update_430938cf"
    AFTER UPDATE ON "shop"."order_items"
    REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."sold_items_update_430938cf"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        '!sold_items_update_430938cf', 'shop', 'order_items',
        'changelane:1 project=shop route=sold_items spec=366c5a2f0b04 live=6fc1f4ce9afa pg=' || current_setting('server_version_num')::int / 10000
    );
EXCEPTION WHEN insufficient_privilege THEN
    -- The table belongs to another role: its trigger is known by the function that it calls.
    NULL;
END
$changelane$;

CREATE OR REPLACE FUNCTION changelane."sold_items_delete_430938cf"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET TimeZone = 'UTC'
    SET jit = off
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "sold_items"}';
    changelane_at text;
    changelane_rows integer;
    message jsonb;
    messages jsonb[];
    bytes bigint := 0;
BEGIN
    -- None, one, or more.
    PERFORM FROM changelane_old LIMIT 2;
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
        PERFORM pgmq.send('sold_items', jsonb_build_object(
                'op', 'delete', 'schema', 'shop', 'table', 'order_items',
                'key', jsonb_build_object('order_id', old_row."order_id", 'position', old_row."position"),
                'new', NULL,
                'old', old_row.changelane_row,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp()),
            (SELECT pg_notify('changelane_sold_items', '') FROM changelane.sleepers WHERE queue = 'sold_items' AND until > clock_timestamp())
        FROM (
            SELECT present.*
            FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent,
                LATERAL (SELECT "order_id", "position", changelane_old AS changelane_row FROM changelane_old) AS present
        ) AS old_row
        WHERE CASE WHEN pg_column_size(old_row.changelane_row) > 131072 THEN false ELSE (true) END;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        -- Not part of the condition above, which would then be asked in a query each time.
        IF NOT EXISTS (
            SELECT FROM (
                SELECT present.*
                FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent,
                    LATERAL (SELECT "order_id", "position", changelane_old AS changelane_row FROM changelane_old) AS present
            ) AS old_row
            WHERE pg_column_size(old_row.changelane_row) > 131072
        ) THEN
            RETURN NULL;
        END IF;
    END IF;

    changelane_at := to_jsonb(clock_timestamp()) #>> '{}';
    messages := '{}';
    FOR message IN
        SELECT CASE
            WHEN (pg_column_size(old_row.changelane_row) > 131072)
                AND changelane.measure(old_row.changelane_row) > 16777216 THEN jsonb_build_object(
            'op', 'delete', 'schema', 'shop', 'table', 'order_items',
            'key', jsonb_build_object('order_id', old_row."order_id", 'position', old_row."position"),
            'new', NULL,
            'old', jsonb_build_object('order_id', old_row."order_id", 'position', old_row."position"),
            'txid', pg_current_xact_id()::text, 'at', changelane_at, 'truncated', true
        )
            ELSE jsonb_build_object(
            'op', 'delete', 'schema', 'shop', 'table', 'order_items',
            'key', jsonb_build_object('order_id', old_row."order_id", 'position', old_row."position"),
            'new', NULL,
            'old', old_row.changelane_row,
            'txid', pg_current_xact_id()::text, 'at', changelane_at
        )
        END
        FROM (
        SELECT present.*
        FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent,
            LATERAL (SELECT "order_id", "position", changelane_old AS changelane_row FROM changelane_old) AS present
    ) AS old_row
        WHERE (true)
    LOOP
        messages := messages || message;
        bytes := bytes + pg_column_size(message);
        IF cardinality(messages) = 1000 OR bytes > 8388608 THEN
            PERFORM pgmq.send_batch('sold_items', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
            bytes := 0;
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('sold_items', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    PERFORM pg_notify('changelane_sold_items', '') FROM changelane.sleepers WHERE queue = 'sold_items' AND until > clock_timestamp();
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."sold_items_delete_430938cf"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'sold_items_delete_430938cf',
        'changelane:1 project=shop route=sold_items spec=872f5e1b1765 live=e53c2dbfed19 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "!sold_items_delete_430938cf"
    AFTER DELETE ON "shop"."order_items"
    REFERENCING OLD TABLE AS changelane_old
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."sold_items_delete_430938cf"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        '!sold_items_delete_430938cf', 'shop', 'order_items',
        'changelane:1 project=shop route=sold_items spec=872f5e1b1765 live=7b44865d947b pg=' || current_setting('server_version_num')::int / 10000
    );
EXCEPTION WHEN insufficient_privilege THEN
    -- The table belongs to another role: its trigger is known by the function that it calls.
    NULL;
END
$changelane$;
