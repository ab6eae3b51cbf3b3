-- Written by `changelane generate`: edit pipelines.yaml, not this file.
CREATE SCHEMA IF NOT EXISTS changelane;
CREATE UNLOGGED TABLE IF NOT EXISTS changelane.sleepers (queue text PRIMARY KEY, until timestamptz NOT NULL);

CREATE OR REPLACE FUNCTION changelane."paid_orders_insert_3d209b31"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET TimeZone = 'UTC'
    SET jit = off
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_at text;
    message jsonb;
    many boolean;
    messages jsonb[] := '{}';
    bytes bigint := 0;
BEGIN
    -- Of more than one row, their number is all that is learnt here.
    SELECT EXISTS (SELECT FROM changelane_new OFFSET 1), CASE
            WHEN pg_column_size(new_row.changelane_row) > 131072 AND (pg_column_size(new_row.changelane_row) > 16777216 OR octet_length(new_row.changelane_row::text) > 16777216) THEN jsonb_build_object(
            'op', 'insert', 'schema', 'shop', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', jsonb_build_object('id', new_row."id"),
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00', 'truncated', true
        )
            ELSE jsonb_build_object(
            'op', 'insert', 'schema', 'shop', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id", 'status', new_row."status", 'total', new_row."total")),
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00'
        )
        END
    INTO many, message
    FROM (
        SELECT present.*
        FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent,
            LATERAL (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
    WHERE ((new_row."status" = 'paid') IS TRUE)
    LIMIT 1;
    IF many IS NOT TRUE THEN
        IF message IS NOT NULL THEN
            PERFORM pgmq.send('paid_orders', message, CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'paid_orders', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "paid_orders"}'::jsonb END, clock_timestamp());
            PERFORM pg_notify('changelane_paid_orders', '') FROM changelane.sleepers WHERE queue = 'paid_orders' AND until > clock_timestamp();
        END IF;
        RETURN NULL;
    END IF;

    changelane_at := (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00';
    FOR message IN
        SELECT CASE
            WHEN pg_column_size(new_row.changelane_row) > 131072 AND (pg_column_size(new_row.changelane_row) > 16777216 OR octet_length(new_row.changelane_row::text) > 16777216) THEN jsonb_build_object(
            'op', 'insert', 'schema', 'shop', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', jsonb_build_object('id', new_row."id"),
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', changelane_at, 'truncated', true
        )
            ELSE jsonb_build_object(
            'op', 'insert', 'schema', 'shop', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id", 'status', new_row."status", 'total', new_row."total")),
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', changelane_at
        )
        END
        FROM (
        SELECT present.*
        FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent,
            LATERAL (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
        WHERE ((new_row."status" = 'paid') IS TRUE)
    LOOP
        messages := messages || message;
        bytes := bytes + pg_column_size(message);
        IF cardinality(messages) = 1000 OR bytes > 8388608 THEN
            PERFORM pgmq.send_batch('paid_orders', messages, array_fill(CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'paid_orders', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "paid_orders"}'::jsonb END, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
            bytes := 0;
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('paid_orders', messages, array_fill(CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'paid_orders', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "paid_orders"}'::jsonb END, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    PERFORM pg_notify('changelane_paid_orders', '') FROM changelane.sleepers WHERE queue = 'paid_orders' AND until > clock_timestamp();
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."paid_orders_insert_3d209b31"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'paid_orders_insert_3d209b31',
        'changelane:1 project=shop route=paid_orders spec=5a769f5a68e4 live=e469bf0b2567 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;
-- An expression that does not suit the table fails here, and not in the application's writes.
DO $changelane$
BEGIN
    PERFORM FROM (SELECT (NULL::"shop"."orders").*) AS new_row
    WHERE false AND num_nulls((new_row."status" = 'paid') IS TRUE) = 0;
END
$changelane$;

CREATE OR REPLACE TRIGGER "paid_orders_insert_3d209b31"
    AFTER INSERT ON "shop"."orders"
    REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."paid_orders_insert_3d209b31"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        'paid_orders_insert_3d209b31', 'shop', 'orders',
        'changelane:1 project=shop route=paid_orders spec=5a769f5a68e4 live=131d34385bfa pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE FUNCTION changelane."paid_orders_update_3d209b31"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET TimeZone = 'UTC'
    SET jit = off
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_at text;
    message jsonb;
    many boolean;
    messages jsonb[] := '{}';
    bytes bigint := 0;
BEGIN
    -- Of more than one row, their number is all that is learnt here; the first row of the product of both sides is
    -- a pair.
    SELECT EXISTS (SELECT FROM changelane_new OFFSET 1), CASE
            WHEN pg_column_size(old_row.changelane_row) + pg_column_size(new_row.changelane_row) > 131072 AND (pg_column_size(old_row.changelane_row) + pg_column_size(new_row.changelane_row) > 16777216 OR octet_length(old_row.changelane_row::text) + octet_length(new_row.changelane_row::text) > 16777216) THEN jsonb_build_object(
            'op', 'update', 'schema', 'shop', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', jsonb_build_object('id', new_row."id"),
            'old', jsonb_build_object('id', old_row."id"),
            'txid', pg_current_xact_id()::text, 'at', (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00', 'truncated', true
        )
            ELSE jsonb_build_object(
            'op', 'update', 'schema', 'shop', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id", 'status', new_row."status", 'total', new_row."total")),
            'old', (
            SELECT coalesce(jsonb_object_agg(was.key, was.value), '{}')
            FROM jsonb_each((jsonb_build_object('id', old_row."id", 'customer_id', old_row."customer_id", 'status', old_row."status", 'total', old_row."total"))) AS was, (SELECT (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id", 'status', new_row."status", 'total', new_row."total")) AS payload OFFSET 0) AS become
            WHERE become.payload -> was.key IS DISTINCT FROM was.value
        ),
            'txid', pg_current_xact_id()::text, 'at', (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00'
        )
        END
    INTO many, message
    FROM (
        SELECT present.*
        FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent,
            LATERAL (SELECT "id", "customer_id", "status", "total", changelane_old AS changelane_row FROM changelane_old) AS present
    ) AS old_row, (
        SELECT present.*
        FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent,
            LATERAL (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
    WHERE (ROW(old_row."status")::record *<> ROW(new_row."status")::record AND (new_row."status" = 'paid') IS TRUE) OR EXISTS (SELECT FROM changelane_new OFFSET 1)
    LIMIT 1;
    IF many IS NOT TRUE THEN
        IF message IS NOT NULL THEN
            PERFORM pgmq.send('paid_orders', message, CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'paid_orders', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "paid_orders"}'::jsonb END, clock_timestamp());
            PERFORM pg_notify('changelane_paid_orders', '') FROM changelane.sleepers WHERE queue = 'paid_orders' AND until > clock_timestamp();
        END IF;
        RETURN NULL;
    END IF;

    changelane_at := (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00';
    FOR message IN
        SELECT CASE
            WHEN pg_column_size(old_row.changelane_row) + pg_column_size(new_row.changelane_row) > 131072 AND (pg_column_size(old_row.changelane_row) + pg_column_size(new_row.changelane_row) > 16777216 OR octet_length(old_row.changelane_row::text) + octet_length(new_row.changelane_row::text) > 16777216) THEN jsonb_build_object(
            'op', 'update', 'schema', 'shop', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', jsonb_build_object('id', new_row."id"),
            'old', jsonb_build_object('id', old_row."id"),
            'txid', pg_current_xact_id()::text, 'at', changelane_at, 'truncated', true
        )
            ELSE jsonb_build_object(
            'op', 'update', 'schema', 'shop', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id", 'status', new_row."status", 'total', new_row."total")),
            'old', (
            SELECT coalesce(jsonb_object_agg(was.key, was.value), '{}')
            FROM jsonb_each((jsonb_build_object('id', old_row."id", 'customer_id', old_row."customer_id", 'status', old_row."status", 'total', old_row."total"))) AS was, (SELECT (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id", 'status', new_row."status", 'total', new_row."total")) AS payload OFFSET 0) AS become
            WHERE become.payload -> was.key IS DISTINCT FROM was.value
        ),
            'txid', pg_current_xact_id()::text, 'at', changelane_at
        )
        END
        FROM (
        SELECT row_number() OVER () AS changelane_number, present.*
        FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent,
            LATERAL (SELECT "id", "customer_id", "status", "total", changelane_old AS changelane_row FROM changelane_old) AS present
    ) AS old_row
    -- Both sides hold the rows in one order, so their numbers pair them whatever became of their keys. A full join
    -- never runs as a nested loop, whatever number of rows its plan was first made for.
    FULL JOIN (
        SELECT row_number() OVER () AS changelane_number, present.*
        FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent,
            LATERAL (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row USING (changelane_number)
        WHERE (ROW(old_row."status")::record *<> ROW(new_row."status")::record AND (new_row."status" = 'paid') IS TRUE)
    LOOP
        messages := messages || message;
        bytes := bytes + pg_column_size(message);
        IF cardinality(messages) = 1000 OR bytes > 8388608 THEN
            PERFORM pgmq.send_batch('paid_orders', messages, array_fill(CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'paid_orders', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "paid_orders"}'::jsonb END, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
            bytes := 0;
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('paid_orders', messages, array_fill(CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'paid_orders', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "paid_orders"}'::jsonb END, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    PERFORM pg_notify('changelane_paid_orders', '') FROM changelane.sleepers WHERE queue = 'paid_orders' AND until > clock_timestamp();
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."paid_orders_update_3d209b31"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'paid_orders_update_3d209b31',
        'changelane:1 project=shop route=paid_orders spec=a68e134caab7 live=2bcf335d3b40 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;
-- An expression that does not suit the table fails here, and not in the application's writes.
DO $changelane$
BEGIN
    PERFORM FROM (SELECT (NULL::"shop"."orders").*) AS old_row, (SELECT (NULL::"shop"."orders").*) AS new_row
    WHERE false AND num_nulls((new_row."status" = 'paid') IS TRUE) = 0;
END
$changelane$;

CREATE OR REPLACE TRIGGER "paid_orders_update_3d209b31"
    AFTER UPDATE ON "shop"."orders"
    REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."paid_orders_update_3d209b31"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        'paid_orders_update_3d209b31', 'shop', 'orders',
        'changelane:1 project=shop route=paid_orders spec=a68e134caab7 live=51b2947139af pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;
