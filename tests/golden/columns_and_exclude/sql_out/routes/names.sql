-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."names_insert_b7b4b613"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "names"}';
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
        PERFORM pgmq.send('events', jsonb_build_object(
                'id', changelane_id, 'op', 'insert', 'schema', 'public', 'table', 'customers',
                'key', jsonb_build_object('id', new_row."id"),
                'new', (jsonb_build_object('id', new_row."id", 'name', new_row."name")), 'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp())
        FROM (SELECT NULL::integer AS "id", NULL::text AS "name") AS absent, LATERAL
            (SELECT "id", "name", changelane_new AS changelane_row FROM changelane_new) AS new_row
        WHERE (pg_column_size(new_row."name") > pg_size_bytes('128 kB')) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR
        SELECT CASE
            WHEN pg_column_size(new_row."name") > pg_size_bytes('128 kB')
                AND changelane.measure(ROW(new_row."name")) > pg_size_bytes('16 MB')
            THEN changelane.key_only(
                changelane.new_id(), 'insert', 'public', 'customers',
                jsonb_build_object('id', new_row."id")
            )
            ELSE jsonb_build_object(
                'id', changelane.new_id(), 'op', 'insert', 'schema', 'public', 'table', 'customers',
                'key', jsonb_build_object('id', new_row."id"),
                'new', (jsonb_build_object('id', new_row."id", 'name', new_row."name")), 'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            )
        END
        FROM (SELECT NULL::integer AS "id", NULL::text AS "name") AS absent, LATERAL
            (SELECT "id", "name", changelane_new AS changelane_row FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane_headers);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."names_insert_b7b4b613"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."names_insert_b7b4b613"() IS
    'changelane:1 project=golden route=names spec=ee7f4da5d758 live=d71ddf79b2f7 queues=events';

CREATE OR REPLACE TRIGGER "!names_insert_b7b4b613"
    AFTER INSERT ON "public"."customers" REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."names_insert_b7b4b613"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!names_insert_b7b4b613" ON "public"."customers" IS
        'changelane:1 project=golden route=names spec=ee7f4da5d758 live=49c9e4b60b3e';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;
