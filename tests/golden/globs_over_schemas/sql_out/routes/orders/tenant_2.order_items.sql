-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."orders_insert_2af6195d"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', changelane.message('insert', 'tenant_2', 'order_items',
            jsonb_build_object('order_id', new_row."order_id", 'line', new_row."line"),
            new_row.changelane_row, NULL), changelane.headers('{"route": "orders"}'), clock_timestamp())
        FROM (SELECT NULL::integer AS "order_id", NULL::integer AS "line") AS absent, LATERAL
            (SELECT "order_id", "line", changelane_new AS changelane_row FROM changelane_new) AS new_row;
        RETURN NULL;
    END IF;
    OPEN changelane_changes FOR SELECT changelane.message('insert', 'tenant_2', 'order_items',
        jsonb_build_object('order_id', new_row."order_id", 'line', new_row."line"), new_row.changelane_row,
        NULL)
        FROM (SELECT NULL::integer AS "order_id", NULL::integer AS "line") AS absent, LATERAL
        (SELECT "order_id", "line", changelane_new AS changelane_row FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane.headers('{"route": "orders"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_2af6195d"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_insert_2af6195d"() IS
    'changelane:1 project=golden route=orders spec=0516fc2a7d0b live=0ecea4a93aac queues=events';
CREATE OR REPLACE TRIGGER "!orders_insert_2af6195d" AFTER INSERT ON "tenant_2"."order_items"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."orders_insert_2af6195d"();
CALL changelane.mark_trigger('!orders_insert_2af6195d', '"tenant_2"."order_items"',
    'changelane:1 project=golden route=orders spec=0516fc2a7d0b live=f30f7eeb7e41');
