-- Written by `changelane generate`: edit pipelines.yaml, not this file.
CREATE SCHEMA IF NOT EXISTS changelane;

CREATE OR REPLACE FUNCTION changelane."orders_insert_5d27fbb8"() RETURNS trigger
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
        PERFORM pgmq.send('events', jsonb_build_object(
                'op', 'insert', 'schema', 'tenant_1', 'table', 'orders',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row,
                'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp())
        FROM (
            SELECT present.*
            FROM (SELECT NULL::integer AS "id") AS absent,
                LATERAL (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS present
        ) AS new_row
        WHERE (true);
        RETURN NULL;
    END IF;

    changelane_at := to_jsonb(clock_timestamp()) #>> '{}';
    messages := '{}';
    FOR message IN
        SELECT jsonb_build_object(
            'op', 'insert', 'schema', 'tenant_1', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', new_row.changelane_row,
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', changelane_at
        )
        FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id") AS absent,
            LATERAL (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
        WHERE (true)
    LOOP
        messages := messages || message;
        IF cardinality(messages) = 1000 THEN
            PERFORM pgmq.send_batch('events', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('events', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_5d27fbb8"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'orders_insert_5d27fbb8',
        'changelane:1 project=golden route=orders spec=94c07d018a74 live=7fbc20e1cb6b pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "!orders_insert_5d27fbb8"
    AFTER INSERT ON "tenant_1"."orders"
    REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."orders_insert_5d27fbb8"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        '!orders_insert_5d27fbb8', 'tenant_1', 'orders',
        'changelane:1 project=golden route=orders spec=94c07d018a74 live=292345e5b51b pg=' || current_setting('server_version_num')::int / 10000
    );
EXCEPTION WHEN insufficient_privilege THEN
    -- The table belongs to another role: its trigger is known by the function that it calls.
    NULL;
END
$changelane$;

CREATE OR REPLACE FUNCTION changelane."orders_insert_2af6195d"() RETURNS trigger
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
        PERFORM pgmq.send('events', jsonb_build_object(
                'op', 'insert', 'schema', 'tenant_2', 'table', 'order_items',
                'key', jsonb_build_object('order_id', new_row."order_id", 'line', new_row."line"),
                'new', new_row.changelane_row,
                'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp())
        FROM (
            SELECT present.*
            FROM (SELECT NULL::integer AS "order_id", NULL::integer AS "line") AS absent,
                LATERAL (SELECT "order_id", "line", changelane_new AS changelane_row FROM changelane_new) AS present
        ) AS new_row
        WHERE (true);
        RETURN NULL;
    END IF;

    changelane_at := to_jsonb(clock_timestamp()) #>> '{}';
    messages := '{}';
    FOR message IN
        SELECT jsonb_build_object(
            'op', 'insert', 'schema', 'tenant_2', 'table', 'order_items',
            'key', jsonb_build_object('order_id', new_row."order_id", 'line', new_row."line"),
            'new', new_row.changelane_row,
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', changelane_at
        )
        FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "order_id", NULL::integer AS "line") AS absent,
            LATERAL (SELECT "order_id", "line", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
        WHERE (true)
    LOOP
        messages := messages || message;
        IF cardinality(messages) = 1000 THEN
            PERFORM pgmq.send_batch('events', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('events', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_2af6195d"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'orders_insert_2af6195d',
        'changelane:1 project=golden route=orders spec=ed1684aa111d live=6f2cdfcc1401 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "!orders_insert_2af6195d"
    AFTER INSERT ON "tenant_2"."order_items"
    REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."orders_insert_2af6195d"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        '!orders_insert_2af6195d', 'tenant_2', 'order_items',
        'changelane:1 project=golden route=orders spec=ed1684aa111d live=f30f7eeb7e41 pg=' || current_setting('server_version_num')::int / 10000
    );
EXCEPTION WHEN insufficient_privilege THEN
    -- The table belongs to another role: its trigger is known by the function that it calls.
    NULL;
END
$changelane$;

CREATE OR REPLACE FUNCTION changelane."orders_insert_5538a76f"() RETURNS trigger
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
        PERFORM pgmq.send('events', jsonb_build_object(
                'op', 'insert', 'schema', 'tenant_2', 'table', 'orders',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row,
                'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp())
        FROM (
            SELECT present.*
            FROM (SELECT NULL::integer AS "id") AS absent,
                LATERAL (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS present
        ) AS new_row
        WHERE (true);
        RETURN NULL;
    END IF;

    changelane_at := to_jsonb(clock_timestamp()) #>> '{}';
    messages := '{}';
    FOR message IN
        SELECT jsonb_build_object(
            'op', 'insert', 'schema', 'tenant_2', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', new_row.changelane_row,
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', changelane_at
        )
        FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id") AS absent,
            LATERAL (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
        WHERE (true)
    LOOP
        messages := messages || message;
        IF cardinality(messages) = 1000 THEN
            PERFORM pgmq.send_batch('events', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('events', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_5538a76f"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'orders_insert_5538a76f',
        'changelane:1 project=golden route=orders spec=9febaaaf44fc live=e626b003cabb pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "!orders_insert_5538a76f"
    AFTER INSERT ON "tenant_2"."orders"
    REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."orders_insert_5538a76f"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        '!orders_insert_5538a76f', 'tenant_2', 'orders',
        'changelane:1 project=golden route=orders spec=9febaaaf44fc live=a5ca720ce63e pg=' || current_setting('server_version_num')::int / 10000
    );
EXCEPTION WHEN insufficient_privilege THEN
    -- The table belongs to another role: its trigger is known by the function that it calls.
    NULL;
END
$changelane$;
