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
            jsonb_build_object('customer_id', new_row."customer_id", 'id', new_row."id"),
            new_row.changelane_row, NULL), changelane.headers('{"route": "orders"}'), clock_timestamp())
        FROM (SELECT NULL::integer AS "id", NULL::integer AS "customer_id") AS absent, LATERAL
            (SELECT "id", "customer_id", changelane_new AS changelane_row FROM changelane_new) AS new_row
        WHERE (pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR SELECT CASE WHEN changelane.is_large(new_row.changelane_row)
        THEN changelane.key_only('insert', 'public', 'orders',
            jsonb_build_object('customer_id', new_row."customer_id", 'id', new_row."id"))
        ELSE changelane.message('insert', 'public', 'orders',
            jsonb_build_object('customer_id', new_row."customer_id", 'id', new_row."id"),
            new_row.changelane_row, NULL)
    END FROM (SELECT NULL::integer AS "id", NULL::integer AS "customer_id") AS absent, LATERAL
        (SELECT "id", "customer_id", changelane_new AS changelane_row FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane.headers('{"route": "orders"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_insert_71eb967f"() IS
    'changelane:1 project=golden route=orders spec=b6e78d9e8749 live=f61079a4fbe2 queues=events';
CREATE OR REPLACE TRIGGER "!orders_insert_71eb967f" AFTER INSERT ON "public"."orders"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."orders_insert_71eb967f"();
CALL changelane.mark_trigger('!orders_insert_71eb967f', '"public"."orders"',
    'changelane:1 project=golden route=orders spec=b6e78d9e8749 live=f4bd63d50401');

CREATE OR REPLACE FUNCTION changelane."orders_delete_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_old LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', changelane.message('delete', 'public', 'orders',
            jsonb_build_object('customer_id', old_row."customer_id", 'id', old_row."id"), NULL::text,
            old_row.changelane_row), changelane.headers('{"route": "orders"}'), clock_timestamp())
        FROM (SELECT NULL::integer AS "id", NULL::integer AS "customer_id") AS absent, LATERAL
            (SELECT "id", "customer_id", changelane_old AS changelane_row FROM changelane_old) AS old_row
        WHERE (pg_column_size(old_row.changelane_row) > 131072 /* 128 kB */) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR SELECT CASE WHEN changelane.is_large(old_row.changelane_row)
        THEN changelane.key_only('delete', 'public', 'orders',
            jsonb_build_object('customer_id', old_row."customer_id", 'id', old_row."id"),
            jsonb_build_object('customer_id', old_row."customer_id", 'id', old_row."id"))
        ELSE changelane.message('delete', 'public', 'orders',
            jsonb_build_object('customer_id', old_row."customer_id", 'id', old_row."id"), NULL::text,
            old_row.changelane_row)
    END FROM (SELECT NULL::integer AS "id", NULL::integer AS "customer_id") AS absent, LATERAL
        (SELECT "id", "customer_id", changelane_old AS changelane_row FROM changelane_old) AS old_row;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane.headers('{"route": "orders"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."orders_delete_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_delete_71eb967f"() IS
    'changelane:1 project=golden route=orders spec=ab050ac8fcc0 live=25779ae93190 queues=events';
CREATE OR REPLACE TRIGGER "!orders_delete_71eb967f" AFTER DELETE ON "public"."orders"
    REFERENCING OLD TABLE AS changelane_old FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."orders_delete_71eb967f"();
CALL changelane.mark_trigger('!orders_delete_71eb967f', '"public"."orders"',
    'changelane:1 project=golden route=orders spec=ab050ac8fcc0 live=f895adc279c7');
