-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."customers_insert_b7b4b613"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', (
                SELECT CASE WHEN pg_column_size(made.message) > 65536
                    THEN changelane.key_only('insert', 'public', 'customers',
                        jsonb_build_object('id', new_row."id"))
                    ELSE made.message
                END
                FROM (SELECT changelane.message('insert', 'public', 'customers',
                    jsonb_build_object('id', new_row."id"), (jsonb_build_object('id', new_row."id", 'email',
                    CASE WHEN getdatabaseencoding() = 'UTF8'
                    THEN encode(sha256(convert_to(to_jsonb(new_row."email") #>> '{}', 'UTF8')), 'hex')
                    ELSE changelane.digest(to_jsonb(new_row."email") #>> '{}') END, 'iban', '[redacted]',
                    'note', new_row."note")), NULL)
                    || jsonb_build_object('extra',
                        jsonb_build_object('actor', (current_setting('app.user', true)), 'noted',
                        (new_row."note" is not null))) AS message OFFSET 0) AS made
            ), changelane.headers('{"route": "customers"}'), clock_timestamp())
        FROM (SELECT NULL::integer AS "id", NULL::text AS "email", NULL::text AS "iban",
            NULL::text AS "note") AS absent, LATERAL
            (SELECT "id", "email", "iban", "note", changelane_new AS changelane_row
                FROM changelane_new) AS new_row
        WHERE (greatest(pg_column_size(new_row."email"),
            pg_column_size(new_row."note")) > 65536 /* 64 kB */) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR SELECT CASE WHEN greatest(pg_column_size(new_row."email"),
        pg_column_size(new_row."note")) > 65536 /* 64 kB */
        AND changelane.measure(ROW(new_row."email"))
            + changelane.measure(ROW(new_row."note")) > 16777216 /* 16 MB */
        THEN changelane.key_only('insert', 'public', 'customers', jsonb_build_object('id', new_row."id"))
        ELSE (
            SELECT CASE WHEN pg_column_size(made.message) > 65536
                THEN changelane.key_only('insert', 'public', 'customers',
                    jsonb_build_object('id', new_row."id"))
                ELSE made.message
            END
            FROM (SELECT changelane.message('insert', 'public', 'customers',
                jsonb_build_object('id', new_row."id"), (jsonb_build_object('id', new_row."id", 'email',
                CASE WHEN getdatabaseencoding() = 'UTF8'
                THEN encode(sha256(convert_to(to_jsonb(new_row."email") #>> '{}', 'UTF8')), 'hex')
                ELSE changelane.digest(to_jsonb(new_row."email") #>> '{}') END, 'iban', '[redacted]', 'note',
                new_row."note")), NULL)
                || jsonb_build_object('extra',
                    jsonb_build_object('actor', (current_setting('app.user', true)), 'noted',
                    (new_row."note" is not null))) AS message OFFSET 0) AS made
        )
    END FROM (SELECT NULL::integer AS "id", NULL::text AS "email", NULL::text AS "iban",
        NULL::text AS "note") AS absent, LATERAL
        (SELECT "id", "email", "iban", "note", changelane_new AS changelane_row
            FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane.headers('{"route": "customers"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."customers_insert_b7b4b613"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."customers_insert_b7b4b613"() IS
    'changelane:1 project=golden route=customers spec=c9e17fb2e880 live=4e3acdc0db50 queues=events';
-- An expression that does not fit the table fails here, instead of in the application's writes.
DO $changelane$
BEGIN
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL jit = off;
    PERFORM FROM (SELECT (NULL::"public"."customers").*) AS new_row
    WHERE false AND num_nulls((current_setting('app.user', true)), (new_row."note" is not null)) = 0;
END
$changelane$;
CREATE OR REPLACE TRIGGER "!customers_insert_b7b4b613" AFTER INSERT ON "public"."customers"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."customers_insert_b7b4b613"();
CALL changelane.mark_trigger('!customers_insert_b7b4b613', '"public"."customers"',
    'changelane:1 project=golden route=customers spec=c9e17fb2e880 live=12dc21660a72');

CREATE OR REPLACE FUNCTION changelane."customers_delete_b7b4b613"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_old LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', (
                SELECT CASE WHEN pg_column_size(made.message) > 65536
                    THEN changelane.key_only('delete', 'public', 'customers',
                        jsonb_build_object('id', old_row."id"), jsonb_build_object('id', old_row."id"))
                    ELSE made.message
                END
                FROM (SELECT changelane.message('delete', 'public', 'customers',
                    jsonb_build_object('id', old_row."id"), NULL::text,
                    (jsonb_build_object('id', old_row."id", 'email', CASE WHEN getdatabaseencoding() = 'UTF8'
                    THEN encode(sha256(convert_to(to_jsonb(old_row."email") #>> '{}', 'UTF8')), 'hex')
                    ELSE changelane.digest(to_jsonb(old_row."email") #>> '{}') END, 'iban', '[redacted]',
                    'note', old_row."note")))
                    || jsonb_build_object('extra',
                        jsonb_build_object('actor', (current_setting('app.user', true)), 'noted',
                        ((CASE WHEN false THEN old_row."note" END) is not null))) AS message OFFSET 0) AS made
            ), changelane.headers('{"route": "customers"}'), clock_timestamp())
        FROM (SELECT NULL::integer AS "id", NULL::text AS "email", NULL::text AS "iban",
            NULL::text AS "note") AS absent, LATERAL
            (SELECT "id", "email", "iban", "note", changelane_old AS changelane_row
                FROM changelane_old) AS old_row
        WHERE (greatest(pg_column_size(old_row."email"),
            pg_column_size(old_row."note")) > 65536 /* 64 kB */) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR SELECT CASE WHEN greatest(pg_column_size(old_row."email"),
        pg_column_size(old_row."note")) > 65536 /* 64 kB */
        AND changelane.measure(ROW(old_row."email"))
            + changelane.measure(ROW(old_row."note")) > 16777216 /* 16 MB */
        THEN changelane.key_only('delete', 'public', 'customers', jsonb_build_object('id', old_row."id"),
            jsonb_build_object('id', old_row."id"))
        ELSE (
            SELECT CASE WHEN pg_column_size(made.message) > 65536
                THEN changelane.key_only('delete', 'public', 'customers',
                    jsonb_build_object('id', old_row."id"), jsonb_build_object('id', old_row."id"))
                ELSE made.message
            END
            FROM (SELECT changelane.message('delete', 'public', 'customers',
                jsonb_build_object('id', old_row."id"), NULL::text,
                (jsonb_build_object('id', old_row."id", 'email', CASE WHEN getdatabaseencoding() = 'UTF8'
                THEN encode(sha256(convert_to(to_jsonb(old_row."email") #>> '{}', 'UTF8')), 'hex')
                ELSE changelane.digest(to_jsonb(old_row."email") #>> '{}') END, 'iban', '[redacted]', 'note',
                old_row."note")))
                || jsonb_build_object('extra',
                    jsonb_build_object('actor', (current_setting('app.user', true)), 'noted',
                    ((CASE WHEN false THEN old_row."note" END) is not null))) AS message OFFSET 0) AS made
        )
    END FROM (SELECT NULL::integer AS "id", NULL::text AS "email", NULL::text AS "iban",
        NULL::text AS "note") AS absent, LATERAL
        (SELECT "id", "email", "iban", "note", changelane_old AS changelane_row
            FROM changelane_old) AS old_row;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane.headers('{"route": "customers"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."customers_delete_b7b4b613"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."customers_delete_b7b4b613"() IS
    'changelane:1 project=golden route=customers spec=2519634ff3ee live=d98894ba716a queues=events';
-- An expression that does not fit the table fails here, instead of in the application's writes.
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
CREATE OR REPLACE TRIGGER "!customers_delete_b7b4b613" AFTER DELETE ON "public"."customers"
    REFERENCING OLD TABLE AS changelane_old FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."customers_delete_b7b4b613"();
CALL changelane.mark_trigger('!customers_delete_b7b4b613', '"public"."customers"',
    'changelane:1 project=golden route=customers spec=2519634ff3ee live=065db80b71da');
