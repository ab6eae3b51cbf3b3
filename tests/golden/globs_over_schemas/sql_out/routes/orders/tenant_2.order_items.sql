-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."orders_insert_2af6195d"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "orders"}';
    changelane_id text;
    changelane_rows integer;
    changelane_changes refcursor;
BEGIN
    -- Is there no row, one, or more?
    PERFORM FROM changelane_new LIMIT 2;
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    changelane_id := changelane.new_id();
    IF current_setting('changelane.traceparent', true) <> '' THEN
        changelane_headers := changelane.add_trace(changelane_headers);
    END IF;

    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', jsonb_build_object(
                'id', changelane_id, 'op', 'insert', 'schema', 'tenant_2', 'table', 'order_items',
                'key', jsonb_build_object('order_id', new_row."order_id", 'line', new_row."line"),
                'new', new_row.changelane_row, 'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp())
        FROM (SELECT NULL::integer AS "order_id", NULL::integer AS "line") AS absent, LATERAL
            (SELECT "order_id", "line", changelane_new AS changelane_row FROM changelane_new) AS new_row;
        RETURN NULL;
    END IF;
    OPEN changelane_changes FOR
        SELECT jsonb_build_object(
            'id', changelane.new_id(), 'op', 'insert', 'schema', 'tenant_2', 'table', 'order_items',
            'key', jsonb_build_object('order_id', new_row."order_id", 'line', new_row."line"),
            'new', new_row.changelane_row, 'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
        )
        FROM (SELECT NULL::integer AS "order_id", NULL::integer AS "line") AS absent, LATERAL
            (SELECT "order_id", "line", changelane_new AS changelane_row FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane_headers);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_2af6195d"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_insert_2af6195d"() IS
    'changelane:1 project=golden route=orders spec=ce1cf09b2791 live=8a53484dd9ae queues=events';

CREATE OR REPLACE TRIGGER "!orders_insert_2af6195d"
    AFTER INSERT ON "tenant_2"."order_items" REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."orders_insert_2af6195d"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!orders_insert_2af6195d" ON "tenant_2"."order_items" IS
        'changelane:1 project=golden route=orders spec=ce1cf09b2791 live=f30f7eeb7e41';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;
