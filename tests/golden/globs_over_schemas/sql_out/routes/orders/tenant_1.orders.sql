-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."orders_insert_5d27fbb8"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', changelane.message('insert', 'tenant_1', 'orders',
            jsonb_build_object('id', new_row."id"), new_row.changelane_row, NULL),
            changelane.headers('{"route": "orders"}'), clock_timestamp())
        FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
            (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS new_row;
        RETURN NULL;
    END IF;
    OPEN changelane_changes FOR SELECT changelane.message('insert', 'tenant_1', 'orders',
        jsonb_build_object('id', new_row."id"), new_row.changelane_row, NULL)
        FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
        (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane.headers('{"route": "orders"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_5d27fbb8"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_insert_5d27fbb8"() IS
    'changelane:1 project=golden route=orders spec=8669ef699d2a live=df05f5dc038e queues=events';
CREATE OR REPLACE TRIGGER "!orders_insert_5d27fbb8" AFTER INSERT ON "tenant_1"."orders"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."orders_insert_5d27fbb8"();
CALL changelane.mark_trigger('!orders_insert_5d27fbb8', '"tenant_1"."orders"',
    'changelane:1 project=golden route=orders spec=8669ef699d2a live=292345e5b51b');
