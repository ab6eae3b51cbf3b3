-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."orders_insert_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', changelane.message('insert', 'public', 'orders',
            jsonb_build_object('id', new_row."id"), new_row.changelane_row, NULL),
            changelane.headers('{"route": "orders"}'), clock_timestamp() + make_interval(secs => 900))
        FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
            (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS new_row
        WHERE (pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR SELECT CASE WHEN changelane.is_large(new_row.changelane_row)
        THEN changelane.key_only('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"))
        ELSE changelane.message('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"),
            new_row.changelane_row, NULL)
    END FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
        (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane.headers('{"route": "orders"}'),
        delay => 900);
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_insert_71eb967f"() IS
    'changelane:1 project=golden route=orders spec=d8e2927b1d84 live=fa5e5d121de6 queues=events';
CREATE OR REPLACE TRIGGER "!orders_insert_71eb967f" AFTER INSERT ON "public"."orders"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."orders_insert_71eb967f"();
CALL changelane.mark_trigger('!orders_insert_71eb967f', '"public"."orders"',
    'changelane:1 project=golden route=orders spec=d8e2927b1d84 live=f4bd63d50401');
