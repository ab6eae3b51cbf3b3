-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."orders_insert_8d227704"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('order_events',
            changelane.message('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"),
            new_row.changelane_row, NULL), changelane.headers('{"route": "orders"}'), clock_timestamp())
        FROM (SELECT NULL::bigint AS "id") AS absent, LATERAL
            (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS new_row
        WHERE (pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR SELECT CASE WHEN changelane.is_large(new_row.changelane_row)
        THEN changelane.key_only('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"))
        ELSE changelane.message('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"),
            new_row.changelane_row, NULL)
    END FROM (SELECT NULL::bigint AS "id") AS absent, LATERAL
        (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{order_events}',
        changelane.headers('{"route": "orders"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_8d227704"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_insert_8d227704"() IS
    'changelane:1 project=golden_access route=orders spec=4b9ab0430865 live=52c0732e0b7c queues=order_events';
CREATE OR REPLACE TRIGGER "!orders_insert_8d227704" AFTER INSERT ON "public"."orders"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."orders_insert_8d227704"();
CALL changelane.mark_trigger('!orders_insert_8d227704', '"public"."orders"',
    'changelane:1 project=golden_access route=orders spec=4b9ab0430865 live=aa1aea817997');
