-- Written by `changelane generate`: edit pipelines.yaml, not this file.
CREATE SCHEMA IF NOT EXISTS changelane;

CREATE OR REPLACE FUNCTION changelane."orders_insert_5d27fbb8"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_at text;
    message jsonb;
    many boolean;
    messages jsonb[] := '{}';
BEGIN
    -- Of more than one row, their number is all that is learnt here.
    SELECT EXISTS (SELECT FROM changelane_new OFFSET 1), jsonb_build_object(
            'op', 'insert', 'schema', 'tenant_1', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', (to_jsonb(new_row.changelane_row)),
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00'
        )
    INTO many, message
    FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id") AS absent,
            LATERAL (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
    WHERE (true)
    LIMIT 1;
    IF many IS NOT TRUE THEN
        IF message IS NOT NULL THEN
            PERFORM pgmq.send('events', message, CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'orders', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "orders"}'::jsonb END, clock_timestamp());
        END IF;
        RETURN NULL;
    END IF;

    changelane_at := (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00';
    FOR message IN
        SELECT jsonb_build_object(
            'op', 'insert', 'schema', 'tenant_1', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', (to_jsonb(new_row.changelane_row)),
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
            PERFORM pgmq.send_batch('events', messages, array_fill(CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'orders', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "orders"}'::jsonb END, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('events', messages, array_fill(CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'orders', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "orders"}'::jsonb END, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_5d27fbb8"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'orders_insert_5d27fbb8',
        'changelane:1 project=golden route=orders spec=ba459496089f live=3d5dd0cd6c36 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "orders_insert_5d27fbb8"
    AFTER INSERT ON "tenant_1"."orders"
    REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."orders_insert_5d27fbb8"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        'orders_insert_5d27fbb8', 'tenant_1', 'orders',
        'changelane:1 project=golden route=orders spec=ba459496089f live=292345e5b51b pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE FUNCTION changelane."orders_insert_2af6195d"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_at text;
    message jsonb;
    many boolean;
    messages jsonb[] := '{}';
BEGIN
    -- Of more than one row, their number is all that is learnt here.
    SELECT EXISTS (SELECT FROM changelane_new OFFSET 1), jsonb_build_object(
            'op', 'insert', 'schema', 'tenant_2', 'table', 'order_items',
            'key', jsonb_build_object('order_id', new_row."order_id", 'line', new_row."line"),
            'new', (to_jsonb(new_row.changelane_row)),
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00'
        )
    INTO many, message
    FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "order_id", NULL::integer AS "line") AS absent,
            LATERAL (SELECT "order_id", "line", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
    WHERE (true)
    LIMIT 1;
    IF many IS NOT TRUE THEN
        IF message IS NOT NULL THEN
            PERFORM pgmq.send('events', message, CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'orders', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "orders"}'::jsonb END, clock_timestamp());
        END IF;
        RETURN NULL;
    END IF;

    changelane_at := (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00';
    FOR message IN
        SELECT jsonb_build_object(
            'op', 'insert', 'schema', 'tenant_2', 'table', 'order_items',
            'key', jsonb_build_object('order_id', new_row."order_id", 'line', new_row."line"),
            'new', (to_jsonb(new_row.changelane_row)),
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
            PERFORM pgmq.send_batch('events', messages, array_fill(CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'orders', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "orders"}'::jsonb END, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('events', messages, array_fill(CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'orders', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "orders"}'::jsonb END, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_2af6195d"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'orders_insert_2af6195d',
        'changelane:1 project=golden route=orders spec=9216dcbcd6d8 live=90f68f45cf76 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "orders_insert_2af6195d"
    AFTER INSERT ON "tenant_2"."order_items"
    REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."orders_insert_2af6195d"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        'orders_insert_2af6195d', 'tenant_2', 'order_items',
        'changelane:1 project=golden route=orders spec=9216dcbcd6d8 live=f30f7eeb7e41 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE FUNCTION changelane."orders_insert_5538a76f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_at text;
    message jsonb;
    many boolean;
    messages jsonb[] := '{}';
BEGIN
    -- Of more than one row, their number is all that is learnt here.
    SELECT EXISTS (SELECT FROM changelane_new OFFSET 1), jsonb_build_object(
            'op', 'insert', 'schema', 'tenant_2', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', (to_jsonb(new_row.changelane_row)),
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00'
        )
    INTO many, message
    FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id") AS absent,
            LATERAL (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
    WHERE (true)
    LIMIT 1;
    IF many IS NOT TRUE THEN
        IF message IS NOT NULL THEN
            PERFORM pgmq.send('events', message, CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'orders', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "orders"}'::jsonb END, clock_timestamp());
        END IF;
        RETURN NULL;
    END IF;

    changelane_at := (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00';
    FOR message IN
        SELECT jsonb_build_object(
            'op', 'insert', 'schema', 'tenant_2', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', (to_jsonb(new_row.changelane_row)),
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
            PERFORM pgmq.send_batch('events', messages, array_fill(CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'orders', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "orders"}'::jsonb END, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('events', messages, array_fill(CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'orders', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "orders"}'::jsonb END, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_5538a76f"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'orders_insert_5538a76f',
        'changelane:1 project=golden route=orders spec=0c1f4c92f7f2 live=a2e61a43e597 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "orders_insert_5538a76f"
    AFTER INSERT ON "tenant_2"."orders"
    REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."orders_insert_5538a76f"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        'orders_insert_5538a76f', 'tenant_2', 'orders',
        'changelane:1 project=golden route=orders spec=0c1f4c92f7f2 live=a5ca720ce63e pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;
