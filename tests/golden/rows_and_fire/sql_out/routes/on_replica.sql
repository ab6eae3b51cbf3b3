-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."on_replica_insert_71eb967f"() RETURNS trigger
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
            changelane.headers('{"route": "on_replica"}'), clock_timestamp())
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
    PERFORM changelane.send_all(changelane_changes, '{events}',
        changelane.headers('{"route": "on_replica"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."on_replica_insert_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."on_replica_insert_71eb967f"() IS
    'changelane:1 project=golden route=on_replica spec=b91a4dc6e98c live=08c04f404848 queues=events';
CREATE OR REPLACE TRIGGER "!on_replica_insert_71eb967f" AFTER INSERT ON "public"."orders"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."on_replica_insert_71eb967f"();
ALTER TABLE "public"."orders" ENABLE REPLICA TRIGGER "!on_replica_insert_71eb967f";
CALL changelane.mark_trigger('!on_replica_insert_71eb967f', '"public"."orders"',
    'changelane:1 project=golden route=on_replica spec=b91a4dc6e98c live=7ef1cd679868');
