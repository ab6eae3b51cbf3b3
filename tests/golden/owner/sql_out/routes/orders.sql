-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."orders_insert_edcc4ec5"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, MDY'
        SET IntervalStyle = 'postgres' SET TimeZone = 'UTC' SET bytea_output = 'hex'
        SET extra_float_digits = 1 SET jit = off
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
            new_row.changelane_row, NULL), changelane.headers('{"route": "orders"}'), clock_timestamp()),
            (SELECT pg_notify('changelane_order_events', '') FROM changelane.sleepers
                WHERE queue = 'order_events' AND until > clock_timestamp())
        FROM (SELECT NULL::bigint AS "id", NULL::text AS "status") AS absent, LATERAL
            (SELECT "id", "status", changelane_new AS changelane_row FROM changelane_new) AS new_row
        WHERE CASE WHEN pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */
                THEN false ELSE (rules.wanted(new_row."status")) IS TRUE END;
        IF FOUND THEN RETURN NULL; END IF;
        PERFORM FROM (
            SELECT changelane_new AS changelane_row FROM changelane_new) AS changed
        WHERE pg_column_size(changed.changelane_row) > 131072 /* 128 kB */;
        IF NOT FOUND THEN RETURN NULL; END IF; -- the row is not wanted
    END IF;
    OPEN changelane_changes FOR SELECT CASE WHEN changelane.is_large(new_row.changelane_row)
        THEN changelane.key_only('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"))
        ELSE changelane.message('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"),
            new_row.changelane_row, NULL)
    END FROM (SELECT NULL::bigint AS "id", NULL::text AS "status") AS absent, LATERAL
        (SELECT "id", "status", changelane_new AS changelane_row FROM changelane_new) AS new_row
    WHERE (rules.wanted(new_row."status")) IS TRUE;
    PERFORM changelane.send_all(changelane_changes, '{order_events}',
        changelane.headers('{"route": "orders"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_edcc4ec5"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_insert_edcc4ec5"() IS
    'changelane:1 project=shop route=orders spec=401fb6a4f7b9 live=dee05ce9db0b queues=order_events';
ALTER FUNCTION changelane."orders_insert_edcc4ec5"() OWNER TO "golden_capture";
-- An expression that does not fit the table fails here, instead of in the application's writes.
DO $changelane$
BEGIN
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL DateStyle = 'ISO, MDY';
    SET LOCAL IntervalStyle = 'postgres';
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL bytea_output = 'hex';
    SET LOCAL extra_float_digits = 1;
    SET LOCAL jit = off;
    PERFORM FROM (SELECT (NULL::"public"."orders").*) AS new_row
    WHERE false AND num_nulls((rules.wanted(new_row."status")) IS TRUE) = 0;
END
$changelane$;
CREATE OR REPLACE TRIGGER "!orders_insert_edcc4ec5" AFTER INSERT ON "public"."orders"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."orders_insert_edcc4ec5"();
CALL changelane.mark_trigger('!orders_insert_edcc4ec5', '"public"."orders"',
    'changelane:1 project=shop route=orders spec=401fb6a4f7b9 live=6453545339f6');
