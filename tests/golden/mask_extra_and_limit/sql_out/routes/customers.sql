-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."customers_insert_b7b4b613"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "customers"}';
    changelane_id text;
    changelane_rows integer;
    changelane_changes refcursor;
BEGIN
    -- Is there no row, one, or more?
    PERFORM FROM changelane_new LIMIT 2;
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    changelane_id := changelane.new_id();
    IF current_setting('changelane.traceparent', true) <> '' THEN
        changelane_headers := changelane.add_trace(changelane_headers);
    END IF;

    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', (
                SELECT CASE WHEN pg_column_size(made.message) > 65536
                    THEN changelane.key_only(
                        changelane_id, 'insert', 'public', 'customers',
                        jsonb_build_object('id', new_row."id")
                    )
                    ELSE made.message
                END
                FROM (SELECT jsonb_build_object(
                    'id', changelane_id, 'op', 'insert', 'schema', 'public', 'table', 'customers',
                    'key', jsonb_build_object('id', new_row."id"),
                    'new', (jsonb_build_object('id', new_row."id", 'email',
                        CASE WHEN getdatabaseencoding() = 'UTF8'
                        THEN encode(sha256(convert_to(to_jsonb(new_row."email") #>> '{}', 'UTF8')), 'hex')
                        ELSE changelane.digest(to_jsonb(new_row."email") #>> '{}') END, 'iban', '[redacted]',
                        'note', new_row."note")), 'old', NULL,
                    'extra', jsonb_build_object('actor', (current_setting('app.user', true)), 'noted',
                        (new_row."note" is not null)),
                    'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
                ) AS message OFFSET 0) AS made
            ), changelane_headers, clock_timestamp())
        FROM (SELECT NULL::integer AS "id", NULL::text AS "email", NULL::text AS "iban",
            NULL::text AS "note") AS absent, LATERAL
            (SELECT "id", "email", "iban", "note", changelane_new AS changelane_row
                FROM changelane_new) AS new_row
        WHERE (greatest(pg_column_size(new_row."email"),
            pg_column_size(new_row."note")) > pg_size_bytes('64 kB')) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR
        SELECT CASE
            WHEN greatest(pg_column_size(new_row."email"),
                pg_column_size(new_row."note")) > pg_size_bytes('64 kB')
                AND changelane.measure(ROW(new_row."email"))
                    + changelane.measure(ROW(new_row."note")) > pg_size_bytes('16 MB')
            THEN changelane.key_only(
                changelane.new_id(), 'insert', 'public', 'customers',
                jsonb_build_object('id', new_row."id")
            )
            ELSE (
                SELECT CASE WHEN pg_column_size(made.message) > 65536
                    THEN changelane.key_only(
                        changelane.new_id(), 'insert', 'public', 'customers',
                        jsonb_build_object('id', new_row."id")
                    )
                    ELSE made.message
                END
                FROM (SELECT jsonb_build_object(
                    'id', changelane.new_id(), 'op', 'insert', 'schema', 'public', 'table', 'customers',
                    'key', jsonb_build_object('id', new_row."id"),
                    'new', (jsonb_build_object('id', new_row."id", 'email',
                        CASE WHEN getdatabaseencoding() = 'UTF8'
                        THEN encode(sha256(convert_to(to_jsonb(new_row."email") #>> '{}', 'UTF8')), 'hex')
                        ELSE changelane.digest(to_jsonb(new_row."email") #>> '{}') END, 'iban', '[redacted]',
                        'note', new_row."note")), 'old', NULL,
                    'extra', jsonb_build_object('actor', (current_setting('app.user', true)), 'noted',
                        (new_row."note" is not null)),
                    'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
                ) AS message OFFSET 0) AS made
            )
        END
        FROM (SELECT NULL::integer AS "id", NULL::text AS "email", NULL::text AS "iban",
            NULL::text AS "note") AS absent, LATERAL
            (SELECT "id", "email", "iban", "note", changelane_new AS changelane_row
                FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane_headers);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."customers_insert_b7b4b613"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."customers_insert_b7b4b613"() IS
    'changelane:1 project=golden route=customers spec=f4ba171bfa67 live=a392990f3708 queues=events';
-- An expression that does not suit the table fails here, and not in the application's writes.
DO $changelane$
BEGIN
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL jit = off;
    PERFORM FROM (SELECT (NULL::"public"."customers").*) AS new_row
    WHERE false AND num_nulls((current_setting('app.user', true)), (new_row."note" is not null)) = 0;
END
$changelane$;

CREATE OR REPLACE TRIGGER "!customers_insert_b7b4b613"
    AFTER INSERT ON "public"."customers" REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."customers_insert_b7b4b613"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!customers_insert_b7b4b613" ON "public"."customers" IS
        'changelane:1 project=golden route=customers spec=f4ba171bfa67 live=12dc21660a72';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;

CREATE OR REPLACE FUNCTION changelane."customers_delete_b7b4b613"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "customers"}';
    changelane_id text;
    changelane_rows integer;
    changelane_changes refcursor;
BEGIN
    -- Is there no row, one, or more?
    PERFORM FROM changelane_old LIMIT 2;
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    changelane_id := changelane.new_id();
    IF current_setting('changelane.traceparent', true) <> '' THEN
        changelane_headers := changelane.add_trace(changelane_headers);
    END IF;

    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', (
                SELECT CASE WHEN pg_column_size(made.message) > 65536
                    THEN changelane.key_only(
                        changelane_id, 'delete', 'public', 'customers',
                        jsonb_build_object('id', old_row."id"),
                        jsonb_build_object('id', old_row."id")
                    )
                    ELSE made.message
                END
                FROM (SELECT jsonb_build_object(
                    'id', changelane_id, 'op', 'delete', 'schema', 'public', 'table', 'customers',
                    'key', jsonb_build_object('id', old_row."id"),
                    'new', NULL, 'old', (jsonb_build_object('id', old_row."id", 'email',
                        CASE WHEN getdatabaseencoding() = 'UTF8'
                        THEN encode(sha256(convert_to(to_jsonb(old_row."email") #>> '{}', 'UTF8')), 'hex')
                        ELSE changelane.digest(to_jsonb(old_row."email") #>> '{}') END, 'iban', '[redacted]',
                        'note', old_row."note")),
                    'extra', jsonb_build_object('actor', (current_setting('app.user', true)), 'noted',
                        ((CASE WHEN false THEN old_row."note" END) is not null)),
                    'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
                ) AS message OFFSET 0) AS made
            ), changelane_headers, clock_timestamp())
        FROM (SELECT NULL::integer AS "id", NULL::text AS "email", NULL::text AS "iban",
            NULL::text AS "note") AS absent, LATERAL
            (SELECT "id", "email", "iban", "note", changelane_old AS changelane_row
                FROM changelane_old) AS old_row
        WHERE (greatest(pg_column_size(old_row."email"),
            pg_column_size(old_row."note")) > pg_size_bytes('64 kB')) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR
        SELECT CASE
            WHEN greatest(pg_column_size(old_row."email"),
                pg_column_size(old_row."note")) > pg_size_bytes('64 kB')
                AND changelane.measure(ROW(old_row."email"))
                    + changelane.measure(ROW(old_row."note")) > pg_size_bytes('16 MB')
            THEN changelane.key_only(
                changelane.new_id(), 'delete', 'public', 'customers',
                jsonb_build_object('id', old_row."id"),
                jsonb_build_object('id', old_row."id")
            )
            ELSE (
                SELECT CASE WHEN pg_column_size(made.message) > 65536
                    THEN changelane.key_only(
                        changelane.new_id(), 'delete', 'public', 'customers',
                        jsonb_build_object('id', old_row."id"),
                        jsonb_build_object('id', old_row."id")
                    )
                    ELSE made.message
                END
                FROM (SELECT jsonb_build_object(
                    'id', changelane.new_id(), 'op', 'delete', 'schema', 'public', 'table', 'customers',
                    'key', jsonb_build_object('id', old_row."id"),
                    'new', NULL, 'old', (jsonb_build_object('id', old_row."id", 'email',
                        CASE WHEN getdatabaseencoding() = 'UTF8'
                        THEN encode(sha256(convert_to(to_jsonb(old_row."email") #>> '{}', 'UTF8')), 'hex')
                        ELSE changelane.digest(to_jsonb(old_row."email") #>> '{}') END, 'iban', '[redacted]',
                        'note', old_row."note")),
                    'extra', jsonb_build_object('actor', (current_setting('app.user', true)), 'noted',
                        ((CASE WHEN false THEN old_row."note" END) is not null)),
                    'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
                ) AS message OFFSET 0) AS made
            )
        END
        FROM (SELECT NULL::integer AS "id", NULL::text AS "email", NULL::text AS "iban",
            NULL::text AS "note") AS absent, LATERAL
            (SELECT "id", "email", "iban", "note", changelane_old AS changelane_row
                FROM changelane_old) AS old_row;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane_headers);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."customers_delete_b7b4b613"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."customers_delete_b7b4b613"() IS
    'changelane:1 project=golden route=customers spec=47928bb1e551 live=b1305fd319b4 queues=events';
-- An expression that does not suit the table fails here, and not in the application's writes.
DO $changelane$
BEGIN
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL jit = off;
    PERFORM FROM (SELECT (NULL::"public"."customers").*) AS old_row
    WHERE false AND num_nulls((current_setting('app.user', true)),
        ((CASE WHEN false THEN old_row."note" END) is not null)) = 0;
END
$changelane$;

CREATE OR REPLACE TRIGGER "!customers_delete_b7b4b613"
    AFTER DELETE ON "public"."customers" REFERENCING OLD TABLE AS changelane_old
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."customers_delete_b7b4b613"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!customers_delete_b7b4b613" ON "public"."customers" IS
        'changelane:1 project=golden route=customers spec=47928bb1e551 live=065db80b71da';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;
