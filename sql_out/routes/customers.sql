-- Written by `changelane generate`: edit pipelines.yaml, not this file.
CREATE SCHEMA IF NOT EXISTS changelane;
CREATE UNLOGGED TABLE IF NOT EXISTS changelane.sleepers (queue text PRIMARY KEY, until timestamptz NOT NULL);
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

CREATE OR REPLACE FUNCTION changelane."customers_insert_14424ead"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET TimeZone = 'UTC'
    SET jit = off
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "customers"}';
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
        PERFORM pgmq.send('customers', jsonb_build_object(
                'op', 'insert', 'schema', 'shop', 'table', 'customers',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row,
                'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp()),
            (SELECT pg_notify('changelane_customers', '') FROM changelane.sleepers WHERE queue = 'customers' AND until > clock_timestamp())
        FROM (
            SELECT present.*
            FROM (SELECT NULL::bigint AS "id") AS absent,
                LATERAL (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS present
        ) AS new_row
        WHERE (true) AND (pg_column_size(new_row.changelane_row) > 131072) IS NOT TRUE;
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
            WHEN pg_column_size(new_row.changelane_row) > 131072 AND (pg_column_size(new_row.changelane_row) > 16777216 OR changelane.measure(new_row.changelane_row) > 16777216) THEN jsonb_build_object(
            'op', 'insert', 'schema', 'shop', 'table', 'customers',
            'key', jsonb_build_object('id', new_row."id"),
            'new', jsonb_build_object('id', new_row."id"),
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', changelane_at, 'truncated', true
        )
            ELSE jsonb_build_object(
            'op', 'insert', 'schema', 'shop', 'table', 'customers',
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
            PERFORM pgmq.send_batch('customers', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
            bytes := 0;
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('customers', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    PERFORM pg_notify('changelane_customers', '') FROM changelane.sleepers WHERE queue = 'customers' AND until > clock_timestamp();
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."customers_insert_14424ead"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'customers_insert_14424ead',
        'changelane:1 project=shop route=customers spec=3f02615f7143 live=c7c1b246611b pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "customers_insert_14424ead"
    AFTER INSERT ON "shop"."customers"
    REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."customers_insert_14424ead"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        'customers_insert_14424ead', 'shop', 'customers',
        'changelane:1 project=shop route=customers spec=3f02615f7143 live=17919d39ff64 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE FUNCTION changelane."customers_update_14424ead"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET TimeZone = 'UTC'
    SET jit = off
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "customers"}';
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
        PERFORM pgmq.send('customers', jsonb_build_object(
                'op', 'update', 'schema', 'shop', 'table', 'customers',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row,
                'old', old_row.changelane_row,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp()),
            (SELECT pg_notify('changelane_customers', '') FROM changelane.sleepers WHERE queue = 'customers' AND until > clock_timestamp())
        FROM (
            SELECT present.*
            FROM (SELECT NULL::bigint AS "id") AS absent,
                LATERAL (SELECT "id", changelane_old AS changelane_row FROM changelane_old) AS present
        ) AS old_row, (
            SELECT present.*
            FROM (SELECT NULL::bigint AS "id") AS absent,
                LATERAL (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS present
        ) AS new_row
        WHERE (old_row.changelane_row *<> new_row.changelane_row) AND (pg_column_size(old_row.changelane_row) + pg_column_size(new_row.changelane_row) > 131072) IS NOT TRUE;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        -- Not part of the condition above, which would then be asked in a query each time.
        IF NOT EXISTS (
            SELECT FROM (
                SELECT present.*
                FROM (SELECT NULL::bigint AS "id") AS absent,
                    LATERAL (SELECT "id", changelane_old AS changelane_row FROM changelane_old) AS present
            ) AS old_row, (
                SELECT present.*
                FROM (SELECT NULL::bigint AS "id") AS absent,
                    LATERAL (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS present
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
            WHEN pg_column_size(old_row.changelane_row) + pg_column_size(new_row.changelane_row) > 131072 AND (pg_column_size(old_row.changelane_row) + pg_column_size(new_row.changelane_row) > 16777216 OR changelane.measure(old_row.changelane_row) + changelane.measure(new_row.changelane_row) > 16777216) THEN jsonb_build_object(
            'op', 'update', 'schema', 'shop', 'table', 'customers',
            'key', jsonb_build_object('id', new_row."id"),
            'new', jsonb_build_object('id', new_row."id"),
            'old', jsonb_build_object('id', old_row."id"),
            'txid', pg_current_xact_id()::text, 'at', changelane_at, 'truncated', true
        )
            ELSE jsonb_build_object(
            'op', 'update', 'schema', 'shop', 'table', 'customers',
            'key', jsonb_build_object('id', new_row."id"),
            'new', new_row.changelane_row,
            'old', old_row.changelane_row,
            'txid', pg_current_xact_id()::text, 'at', changelane_at
        )
        END
        FROM (
        SELECT row_number() OVER () AS changelane_number, present.*
        FROM (SELECT NULL::bigint AS "id") AS absent,
            LATERAL (SELECT "id", changelane_old AS changelane_row FROM changelane_old) AS present
    ) AS old_row
    -- Both sides hold the rows in one order, so their numbers pair them whatever became of their keys. A full join
    -- never runs as a nested loop, whatever number of rows its plan was first made for.
    FULL JOIN (
        SELECT row_number() OVER () AS changelane_number, present.*
        FROM (SELECT NULL::bigint AS "id") AS absent,
            LATERAL (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row USING (changelane_number)
        WHERE (old_row.changelane_row *<> new_row.changelane_row)
    LOOP
        messages := messages || message;
        bytes := bytes + pg_column_size(message);
        IF cardinality(messages) = 1000 OR bytes > 8388608 THEN
            PERFORM pgmq.send_batch('customers', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
            bytes := 0;
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('customers', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    PERFORM pg_notify('changelane_customers', '') FROM changelane.sleepers WHERE queue = 'customers' AND until > clock_timestamp();
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."customers_update_14424ead"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'customers_update_14424ead',
        'changelane:1 project=shop route=customers spec=bc37f45faa72 live=695fb29d81d4 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "customers_update_14424ead"
    AFTER UPDATE ON "shop"."customers"
    REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."customers_update_14424ead"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        'customers_update_14424ead', 'shop', 'customers',
        'changelane:1 project=shop route=customers spec=bc37f45faa72 live=db1eb74590be pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE FUNCTION changelane."customers_delete_14424ead"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET TimeZone = 'UTC'
    SET jit = off
    AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "customers"}';
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
        PERFORM pgmq.send('customers', jsonb_build_object(
                'op', 'delete', 'schema', 'shop', 'table', 'customers',
                'key', jsonb_build_object('id', old_row."id"),
                'new', NULL,
                'old', old_row.changelane_row,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp()),
            (SELECT pg_notify('changelane_customers', '') FROM changelane.sleepers WHERE queue = 'customers' AND until > clock_timestamp())
        FROM (
            SELECT present.*
            FROM (SELECT NULL::bigint AS "id") AS absent,
                LATERAL (SELECT "id", changelane_old AS changelane_row FROM changelane_old) AS present
        ) AS old_row
        WHERE (true) AND (pg_column_size(old_row.changelane_row) > 131072) IS NOT TRUE;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        -- Not part of the condition above, which would then be asked in a query each time.
        IF NOT EXISTS (
            SELECT FROM (
                SELECT present.*
                FROM (SELECT NULL::bigint AS "id") AS absent,
                    LATERAL (SELECT "id", changelane_old AS changelane_row FROM changelane_old) AS present
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
            WHEN pg_column_size(old_row.changelane_row) > 131072 AND (pg_column_size(old_row.changelane_row) > 16777216 OR changelane.measure(old_row.changelane_row) > 16777216) THEN jsonb_build_object(
            'op', 'delete', 'schema', 'shop', 'table', 'customers',
            'key', jsonb_build_object('id', old_row."id"),
            'new', NULL,
            'old', jsonb_build_object('id', old_row."id"),
            'txid', pg_current_xact_id()::text, 'at', changelane_at, 'truncated', true
        )
            ELSE jsonb_build_object(
            'op', 'delete', 'schema', 'shop', 'table', 'customers',
            'key', jsonb_build_object('id', old_row."id"),
            'new', NULL,
            'old', old_row.changelane_row,
            'txid', pg_current_xact_id()::text, 'at', changelane_at
        )
        END
        FROM (
        SELECT present.*
        FROM (SELECT NULL::bigint AS "id") AS absent,
            LATERAL (SELECT "id", changelane_old AS changelane_row FROM changelane_old) AS present
    ) AS old_row
        WHERE (true)
    LOOP
        messages := messages || message;
        bytes := bytes + pg_column_size(message);
        IF cardinality(messages) = 1000 OR bytes > 8388608 THEN
            PERFORM pgmq.send_batch('customers', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
            bytes := 0;
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('customers', messages, array_fill(changelane_headers, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    PERFORM pg_notify('changelane_customers', '') FROM changelane.sleepers WHERE queue = 'customers' AND until > clock_timestamp();
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."customers_delete_14424ead"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'customers_delete_14424ead',
        'changelane:1 project=shop route=customers spec=da7440ac9890 live=0eec1c71648a pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE TRIGGER "customers_delete_14424ead"
    AFTER DELETE ON "shop"."customers"
    REFERENCING OLD TABLE AS changelane_old
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."customers_delete_14424ead"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        'customers_delete_14424ead', 'shop', 'customers',
        'changelane:1 project=shop route=customers spec=da7440ac9890 live=c2d585afba05 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;
