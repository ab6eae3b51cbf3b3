-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."orders_insert_5538a76f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', changelane.message('insert', 'tenant_2', 'orders',
            jsonb_build_object('id', new_row."id"), new_row.changelane_row, NULL),
            changelane.headers('{"route": "orders"}'), clock_timestamp())
        FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
            (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS new_row;
        RETURN NULL;
    END IF;
    OPEN changelane_changes FOR SELECT changelane.message('insert', 'tenant_2', 'orders',
        jsonb_build_object('id', new_row."id"), new_row.changelane_row, NULL)
        FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
        (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane.headers('{"route": "orders"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_5538a76f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_insert_5538a76f"() IS
    'changelane:1 project=golden route=orders spec=fc61e88a7e2b live=e2724c477c27 queues=events';
CREATE OR REPLACE TRIGGER "!orders_insert_5538a76f" AFTER INSERT ON "tenant_2"."orders"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."orders_insert_5538a76f"();
CALL changelane.mark_trigger('!orders_insert_5538a76f', '"tenant_2"."orders"',
    'changelane:1 project=golden route=orders spec=fc61e88a7e2b live=a5ca720ce63e');
