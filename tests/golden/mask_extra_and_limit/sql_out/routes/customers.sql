-- Written by `changelane generate`: edit pipelines.yaml, not this file.
CREATE SCHEMA IF NOT EXISTS changelane;

CREATE OR REPLACE FUNCTION changelane."customers_insert_b7b4b613"() RETURNS trigger
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
    bytes bigint := 0;
BEGIN
    -- Of more than one row, their number is all that is learnt here.
    SELECT EXISTS (SELECT FROM changelane_new OFFSET 1), CASE
            WHEN pg_column_size(new_row.changelane_row) > 131072 AND (pg_column_size(new_row.changelane_row) > 16777216 OR octet_length(new_row.changelane_row::text) > 16777216) THEN jsonb_build_object(
            'op', 'insert', 'schema', 'public', 'table', 'customers',
            'key', jsonb_build_object('id', new_row."id"),
            'new', jsonb_build_object('id', new_row."id"),
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00', 'truncated', true
        )
            ELSE (
            SELECT CASE WHEN pg_column_size(made.message) > 65536 THEN jsonb_build_object(
            'op', 'insert', 'schema', 'public', 'table', 'customers',
            'key', jsonb_build_object('id', new_row."id"),
            'new', jsonb_build_object('id', new_row."id"),
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00', 'truncated', true
        ) ELSE made.message END
            FROM (SELECT jsonb_build_object(
            'op', 'insert', 'schema', 'public', 'table', 'customers',
            'key', jsonb_build_object('id', new_row."id"),
            'new', (to_jsonb(new_row.changelane_row) || jsonb_build_object('email', encode(sha256(convert_to(to_jsonb(new_row."email") #>> '{}', 'UTF8')), 'hex'), 'iban', '[redacted]')),
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00', 'extra', jsonb_build_object('actor', (current_setting('app.user', true)), 'noted', (new_row."note" is not null))
        ) AS message OFFSET 0) AS made
        )
        END
    INTO many, message
    FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id", NULL::text AS "email", NULL::text AS "iban", NULL::text AS "note") AS absent,
            LATERAL (SELECT "id", "email", "iban", "note", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
    WHERE (true)
    LIMIT 1;
    IF many IS NOT TRUE THEN
        IF message IS NOT NULL THEN
            PERFORM pgmq.send('events', message, CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'customers', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "customers"}'::jsonb END, clock_timestamp());
        END IF;
        RETURN NULL;
    END IF;

    changelane_at := (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00';
    FOR message IN
        SELECT CASE
            WHEN pg_column_size(new_row.changelane_row) > 131072 AND (pg_column_size(new_row.changelane_row) > 16777216 OR octet_length(new_row.changelane_row::text) > 16777216) THEN jsonb_build_object(
            'op', 'insert', 'schema', 'public', 'table', 'customers',
            'key', jsonb_build_object('id', new_row."id"),
            'new', jsonb_build_object('id', new_row."id"),
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', changelane_at, 'truncated', true
        )
            ELSE (
            SELECT CASE WHEN pg_column_size(made.message) > 65536 THEN jsonb_build_object(
            'op', 'insert', 'schema', 'public', 'table', 'customers',
            'key', jsonb_build_object('id', new_row."id"),
            'new', jsonb_build_object('id', new_row."id"),
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', changelane_at, 'truncated', true
        ) ELSE made.message END
            FROM (SELECT jsonb_build_object(
            'op', 'insert', 'schema', 'public', 'table', 'customers',
            'key', jsonb_build_object('id', new_row."id"),
            'new', (to_jsonb(new_row.changelane_row) || jsonb_build_object('email', encode(sha256(convert_to(to_jsonb(new_row."email") #>> '{}', 'UTF8')), 'hex'), 'iban', '[redacted]')),
            'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', changelane_at, 'extra', jsonb_build_object('actor', (current_setting('app.user', true)), 'noted', (new_row."note" is not null))
        ) AS message OFFSET 0) AS made
        )
        END
        FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id", NULL::text AS "email", NULL::text AS "iban", NULL::text AS "note") AS absent,
            LATERAL (SELECT "id", "email", "iban", "note", changelane_new AS changelane_row FROM changelane_new) AS present
    ) AS new_row
        WHERE (true)
    LOOP
        messages := messages || message;
        bytes := bytes + pg_column_size(message);
        IF cardinality(messages) = 1000 OR bytes > 8388608 THEN
            PERFORM pgmq.send_batch('events', messages, array_fill(CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'customers', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "customers"}'::jsonb END, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
            bytes := 0;
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('events', messages, array_fill(CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'customers', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "customers"}'::jsonb END, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."customers_insert_b7b4b613"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'customers_insert_b7b4b613',
        'changelane:1 project=golden route=customers spec=6145caf376d6 live=2a146c7c1482 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;
-- An expression that does not suit the table fails here, and not in the application's writes.
DO $changelane$
BEGIN
    PERFORM FROM (SELECT (NULL::"public"."customers").*) AS new_row
    WHERE false AND num_nulls((current_setting('app.user', true)), (new_row."note" is not null)) = 0;
END
$changelane$;

CREATE OR REPLACE TRIGGER "customers_insert_b7b4b613"
    AFTER INSERT ON "public"."customers"
    REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."customers_insert_b7b4b613"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        'customers_insert_b7b4b613', 'public', 'customers',
        'changelane:1 project=golden route=customers spec=6145caf376d6 live=12dc21660a72 pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

CREATE OR REPLACE FUNCTION changelane."customers_delete_b7b4b613"() RETURNS trigger
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
    bytes bigint := 0;
BEGIN
    -- Of more than one row, their number is all that is learnt here.
    SELECT EXISTS (SELECT FROM changelane_old OFFSET 1), CASE
            WHEN pg_column_size(old_row.changelane_row) > 131072 AND (pg_column_size(old_row.changelane_row) > 16777216 OR octet_length(old_row.changelane_row::text) > 16777216) THEN jsonb_build_object(
            'op', 'delete', 'schema', 'public', 'table', 'customers',
            'key', jsonb_build_object('id', old_row."id"),
            'new', NULL,
            'old', jsonb_build_object('id', old_row."id"),
            'txid', pg_current_xact_id()::text, 'at', (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00', 'truncated', true
        )
            ELSE (
            SELECT CASE WHEN pg_column_size(made.message) > 65536 THEN jsonb_build_object(
            'op', 'delete', 'schema', 'public', 'table', 'customers',
            'key', jsonb_build_object('id', old_row."id"),
            'new', NULL,
            'old', jsonb_build_object('id', old_row."id"),
            'txid', pg_current_xact_id()::text, 'at', (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00', 'truncated', true
        ) ELSE made.message END
            FROM (SELECT jsonb_build_object(
            'op', 'delete', 'schema', 'public', 'table', 'customers',
            'key', jsonb_build_object('id', old_row."id"),
            'new', NULL,
            'old', (to_jsonb(old_row.changelane_row) || jsonb_build_object('email', encode(sha256(convert_to(to_jsonb(old_row."email") #>> '{}', 'UTF8')), 'hex'), 'iban', '[redacted]')),
            'txid', pg_current_xact_id()::text, 'at', (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00', 'extra', jsonb_build_object('actor', (current_setting('app.user', true)), 'noted', ((CASE WHEN false THEN old_row."note" END) is not null))
        ) AS message OFFSET 0) AS made
        )
        END
    INTO many, message
    FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id", NULL::text AS "email", NULL::text AS "iban", NULL::text AS "note") AS absent,
            LATERAL (SELECT "id", "email", "iban", "note", changelane_old AS changelane_row FROM changelane_old) AS present
    ) AS old_row
    WHERE (true)
    LIMIT 1;
    IF many IS NOT TRUE THEN
        IF message IS NOT NULL THEN
            PERFORM pgmq.send('events', message, CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'customers', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "customers"}'::jsonb END, clock_timestamp());
        END IF;
        RETURN NULL;
    END IF;

    changelane_at := (to_jsonb(clock_timestamp() AT TIME ZONE 'UTC') #>> '{}') || '+00:00';
    FOR message IN
        SELECT CASE
            WHEN pg_column_size(old_row.changelane_row) > 131072 AND (pg_column_size(old_row.changelane_row) > 16777216 OR octet_length(old_row.changelane_row::text) > 16777216) THEN jsonb_build_object(
            'op', 'delete', 'schema', 'public', 'table', 'customers',
            'key', jsonb_build_object('id', old_row."id"),
            'new', NULL,
            'old', jsonb_build_object('id', old_row."id"),
            'txid', pg_current_xact_id()::text, 'at', changelane_at, 'truncated', true
        )
            ELSE (
            SELECT CASE WHEN pg_column_size(made.message) > 65536 THEN jsonb_build_object(
            'op', 'delete', 'schema', 'public', 'table', 'customers',
            'key', jsonb_build_object('id', old_row."id"),
            'new', NULL,
            'old', jsonb_build_object('id', old_row."id"),
            'txid', pg_current_xact_id()::text, 'at', changelane_at, 'truncated', true
        ) ELSE made.message END
            FROM (SELECT jsonb_build_object(
            'op', 'delete', 'schema', 'public', 'table', 'customers',
            'key', jsonb_build_object('id', old_row."id"),
            'new', NULL,
            'old', (to_jsonb(old_row.changelane_row) || jsonb_build_object('email', encode(sha256(convert_to(to_jsonb(old_row."email") #>> '{}', 'UTF8')), 'hex'), 'iban', '[redacted]')),
            'txid', pg_current_xact_id()::text, 'at', changelane_at, 'extra', jsonb_build_object('actor', (current_setting('app.user', true)), 'noted', ((CASE WHEN false THEN old_row."note" END) is not null))
        ) AS message OFFSET 0) AS made
        )
        END
        FROM (
        SELECT present.*
        FROM (SELECT NULL::integer AS "id", NULL::text AS "email", NULL::text AS "iban", NULL::text AS "note") AS absent,
            LATERAL (SELECT "id", "email", "iban", "note", changelane_old AS changelane_row FROM changelane_old) AS present
    ) AS old_row
        WHERE (true)
    LOOP
        messages := messages || message;
        bytes := bytes + pg_column_size(message);
        IF cardinality(messages) = 1000 OR bytes > 8388608 THEN
            PERFORM pgmq.send_batch('events', messages, array_fill(CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'customers', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "customers"}'::jsonb END, ARRAY[cardinality(messages)]), clock_timestamp());
            messages := '{}';
            bytes := 0;
        END IF;
    END LOOP;
    IF cardinality(messages) > 0 THEN
        PERFORM pgmq.send_batch('events', messages, array_fill(CASE WHEN current_setting('changelane.traceparent', true) <> '' THEN jsonb_build_object('route', 'customers', 'traceparent', current_setting('changelane.traceparent', true)) ELSE '{"route": "customers"}'::jsonb END, ARRAY[cardinality(messages)]), clock_timestamp());
    END IF;
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."customers_delete_b7b4b613"() FROM PUBLIC;
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON FUNCTION changelane.%I() IS %L', 'customers_delete_b7b4b613',
        'changelane:1 project=golden route=customers spec=3084d6741f71 live=d1beff0279eb pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;
-- An expression that does not suit the table fails here, and not in the application's writes.
DO $changelane$
BEGIN
    PERFORM FROM (SELECT (NULL::"public"."customers").*) AS old_row
    WHERE false AND num_nulls((current_setting('app.user', true)), ((CASE WHEN false THEN old_row."note" END) is not null)) = 0;
END
$changelane$;

CREATE OR REPLACE TRIGGER "customers_delete_b7b4b613"
    AFTER DELETE ON "public"."customers"
    REFERENCING OLD TABLE AS changelane_old
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."customers_delete_b7b4b613"();
DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON TRIGGER %I ON %I.%I IS %L',
        'customers_delete_b7b4b613', 'public', 'customers',
        'changelane:1 project=golden route=customers spec=3084d6741f71 live=065db80b71da pg=' || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;
