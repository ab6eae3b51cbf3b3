-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."orders_insert_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
BEGIN
    WITH made AS MATERIALIZED (
        SELECT clock_timestamp() AS vt, CASE WHEN changelane.is_large(new_row.changelane_row)
            THEN changelane.key_only('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"))
            ELSE changelane.message('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"),
                new_row.changelane_row, NULL)
        END AS message
        FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
            (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS new_row
    )
    INSERT INTO pgmq."q_events" (vt, message, headers)
    SELECT vt, message, (SELECT changelane.headers('{"route": "orders"}'))
        || jsonb_build_object('x-pgmq-group', message ->> 'key') FROM made;
    IF FOUND THEN
        PERFORM pg_notify('changelane_events', '') FROM changelane.sleepers
            WHERE queue = 'events' AND until > clock_timestamp();
    END IF;
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_insert_71eb967f"() IS
    'changelane:1 project=golden route=orders spec=5e69a7f15742 live=dba3443b89ad queues=events';
CREATE OR REPLACE TRIGGER "!orders_insert_71eb967f" AFTER INSERT ON "public"."orders"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."orders_insert_71eb967f"();
CALL changelane.mark_trigger('!orders_insert_71eb967f', '"public"."orders"',
    'changelane:1 project=golden route=orders spec=5e69a7f15742 live=f4bd63d50401');
