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

CREATE OR REPLACE FUNCTION changelane."paid_orders_insert_3d209b31"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET TimeZone = 'UTC'
    SET jit = off
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "paid_orders"}';
    changelane_at text;
    changelane_rows integer;
    message jsonb;
    messages jsonb[];
    bytes bigint := 0;
BEGIN
    -- Most rows are not wanted. This sets up no more than it takes to say so.
    PERFORM FROM (
        SELECT present.*
        FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent,
            LATERAL (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
    WHERE (new_row."status" = 'paid') IS TRUE
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
        PERFORM pgmq.send('paid_orders', jsonb_build_object(
                'op', 'insert', 'schema', 'shop', 'table', 'orders',
                'key', jsonb_build_object('id', new_row."id"),
                'new', (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id", 'status', new_row."status", 'total', new_row."total")),
                'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp()),
            (SELECT pg_notify('changelane_paid_orders', '') FROM changelane.sleepers WHERE queue = 'paid_orders' AND until > clock_timestamp())
        FROM (
            SELECT present.*
            FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent,
                LATERAL (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row FROM changelane_new) AS present
        ) AS new_row
        WHERE CASE WHEN pg_column_size(new_row."status") > 131072 THEN false ELSE ((new_row."status" = 'paid') IS TRUE) END;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        -- Not part of the condition above, which would then be asked in a query each time.
        IF NOT EXISTS (
            SELECT FROM (
                SELECT present.*
                FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent,
                    LATERAL (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row FROM changelane_new) AS present
            ) AS new_row
            WHERE pg_column_size(new_row."status") > 131072
        ) THEN
            RETURN NULL;
        END IF;
    END IF;

    changelane_at := to_jsonb(clock_timestamp()) #>> '{}';
    messages := '{}';
    FOR message IN
        SELECT CASE
            WHEN (pg_column_size(new_row."status") > 131072)
                AND changelane.measure(ROW(new_row."status")) > 16777216 THEN jsonb_build_object(
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
            PERFORM pgmq.send_batch('paid_orders', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
            bytes := 0;
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('paid_orders', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
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
        'changelane:1 project=shop route=paid_orders spec=d6ddb69e6250 live=ccfd69621983 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;
-- An expression that does not suit the table fails here, and not in the application's writes.
DO $changelane$
BEGIN
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL jit = off;
    PERFORM FROM (SELECT (NULL::"shop"."orders").*) AS new_row
    WHERE false AND num_nulls((new_row."status" = 'paid') IS TRUE) = 0;
END
$changelane$;

CREATE OR REPLACE TRIGGER "!paid_orders_insert_3d209b31"
    AFTER INSERT ON "shop"."orders"
    REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."paid_orders_insert_3d209b31"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        '!paid_orders_insert_3d209b31', 'shop', 'orders',
        'changelane:1 project=shop route=paid_orders spec=d6ddb69e6250 live=131d34385bfa pg=' || current_setting('server_version_num')::int / 10000
    );
EXCEPTION WHEN insufficient_privilege THEN
    -- The table belongs to another role: its trigger is known by the function that it calls.
    NULL;
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
    changelane_headers jsonb := '{"route": "paid_orders"}';
    changelane_at text;
    changelane_rows integer;
    message jsonb;
    messages jsonb[];
    bytes bigint := 0;
BEGIN
    -- Most rows are not wanted. This sets up no more than it takes to say so.
    PERFORM FROM (
        SELECT present.*
        FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent,
            LATERAL (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
    WHERE (new_row."status" = 'paid') IS TRUE
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;

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
        PERFORM pgmq.send('paid_orders', jsonb_build_object(
                'op', 'update', 'schema', 'shop', 'table', 'orders',
                'key', jsonb_build_object('id', new_row."id"),
                'new', (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id", 'status', new_row."status", 'total', new_row."total")),
                'old', (
                SELECT coalesce(jsonb_object_agg(name, was -> name), '{}')
                FROM (
                    SELECT was, become, jsonb_object_keys(was) AS name
                    FROM (SELECT (jsonb_build_object('id', old_row."id", 'customer_id', old_row."customer_id", 'status', old_row."status", 'total', old_row."total")) AS was, (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id", 'status', new_row."status", 'total', new_row."total")) AS become OFFSET 0) AS rows
                ) AS listed
                WHERE ROW(become -> name)::record *<> ROW(was -> name)::record
            ),
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp()),
            (SELECT pg_notify('changelane_paid_orders', '') FROM changelane.sleepers WHERE queue = 'paid_orders' AND until > clock_timestamp())
        FROM (
            SELECT present.*
            FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent,
                LATERAL (SELECT "id", "customer_id", "status", "total", changelane_old AS changelane_row FROM changelane_old) AS present
        ) AS old_row, (
            SELECT present.*
            FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent,
                LATERAL (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row FROM changelane_new) AS present
        ) AS new_row
        WHERE CASE WHEN greatest(pg_column_size(old_row."status"), pg_column_size(new_row."status")) > 65536 THEN false ELSE (ROW(old_row."status")::record *<> ROW(new_row."status")::record AND (new_row."status" = 'paid') IS TRUE) END;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        -- Not part of the condition above, which would then be asked in a query each time.
        IF NOT EXISTS (
            SELECT FROM (
                SELECT present.*
                FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent,
                    LATERAL (SELECT "id", "customer_id", "status", "total", changelane_old AS changelane_row FROM changelane_old) AS present
            ) AS old_row, (
                SELECT present.*
                FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent,
                    LATERAL (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row FROM changelane_new) AS present
            ) AS new_row
            WHERE greatest(pg_column_size(old_row."status"), pg_column_size(new_row."status")) > 65536
        ) THEN
            RETURN NULL;
        END IF;
    END IF;

    changelane_at := to_jsonb(clock_timestamp()) #>> '{}';
    messages := '{}';
    FOR message IN
        SELECT CASE
            WHEN (greatest(pg_column_size(old_row."status"), pg_column_size(new_row."status")) > 65536)
                AND changelane.measure(ROW(old_row."status")) + changelane.measure(ROW(new_row."status")) > 16777216 THEN jsonb_build_object(
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
            SELECT coalesce(jsonb_object_agg(name, was -> name), '{}')
            FROM (
                SELECT was, become, jsonb_object_keys(was) AS name
                FROM (SELECT (jsonb_build_object('id', old_row."id", 'customer_id', old_row."customer_id", 'status', old_row."status", 'total', old_row."total")) AS was, (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id", 'status', new_row."status", 'total', new_row."total")) AS become OFFSET 0) AS rows
            ) AS listed
            WHERE ROW(become -> name)::record *<> ROW(was -> name)::record
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
            PERFORM pgmq.send_batch('paid_orders', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
            bytes := 0;
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('paid_orders', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
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
        'changelane:1 project=shop route=paid_orders spec=15fef8d1de6e live=0aab0bdc10e2 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;
-- An expression that does not suit the table fails here, and not in the application's writes.
DO $changelane$
BEGIN
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL jit = off;
    PERFORM FROM (SELECT (NULL::"shop"."orders").*) AS old_row, (SELECT (NULL::"shop"."orders").*) AS new_row
    WHERE false AND num_nulls((new_row."status" = 'paid') IS TRUE) = 0;
END
$changelane$;

CREATE OR REPLACE TRIGGER "!paid_orders_update_3d209b31"
    AFTER UPDATE ON "shop"."orders"
    REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."paid_orders_update_3d209b31"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        '!paid_orders_update_3d209b31', 'shop', 'orders',
        'changelane:1 project=shop route=paid_orders spec=15fef8d1de6e live=51b2947139af pg=' || current_setting('server_version_num')::int / 10000
    );
EXCEPTION WHEN insufficient_privilege THEN
    -- The table belongs to another role: its trigger is known by the function that it calls.
    NULL;
END
$changelane$;
