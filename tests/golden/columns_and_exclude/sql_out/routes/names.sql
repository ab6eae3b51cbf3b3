-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."names_insert_b7b4b613"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', changelane.message('insert', 'public', 'customers',
            jsonb_build_object('id', new_row."id"), (jsonb_build_object('id', new_row."id", 'name',
            new_row."name")), NULL), changelane.headers('{"route": "names"}'), clock_timestamp())
        FROM (SELECT NULL::integer AS "id", NULL::text AS "name") AS absent, LATERAL
            (SELECT "id", "name", changelane_new AS changelane_row FROM changelane_new) AS new_row
        WHERE (pg_column_size(new_row."name") > 131072 /* 128 kB */) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR SELECT CASE WHEN pg_column_size(new_row."name") > 131072 /* 128 kB */
        AND changelane.measure(ROW(new_row."name")) > 16777216 /* 16 MB */
        THEN changelane.key_only('insert', 'public', 'customers', jsonb_build_object('id', new_row."id"))
        ELSE changelane.message('insert', 'public', 'customers', jsonb_build_object('id', new_row."id"),
            (jsonb_build_object('id', new_row."id", 'name', new_row."name")), NULL)
    END FROM (SELECT NULL::integer AS "id", NULL::text AS "name") AS absent, LATERAL
        (SELECT "id", "name", changelane_new AS changelane_row FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane.headers('{"route": "names"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."names_insert_b7b4b613"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."names_insert_b7b4b613"() IS
    'changelane:1 project=golden route=names spec=9c4244d79e76 live=adf93f65e13a queues=events';
CREATE OR REPLACE TRIGGER "!names_insert_b7b4b613" AFTER INSERT ON "public"."customers"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."names_insert_b7b4b613"();
CALL changelane.mark_trigger('!names_insert_b7b4b613', '"public"."customers"',
    'changelane:1 project=golden route=names spec=9c4244d79e76 live=49c9e4b60b3e');
