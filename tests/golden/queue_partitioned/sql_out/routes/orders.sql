-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."orders_insert_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "orders"}';
BEGIN
    IF current_setting('changelane.traceparent', true) <> '' THEN
        changelane_headers := changelane.add_trace(changelane_headers);
    END IF;

    WITH made AS MATERIALIZED (
        SELECT clock_timestamp() AS vt, CASE
            WHEN pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                AND changelane.measure(new_row.changelane_row) > pg_size_bytes('16 MB')
            THEN changelane.key_only(
                changelane.new_id(), 'insert', 'public', 'orders',
                jsonb_build_object('id', new_row."id")
            )
            ELSE jsonb_build_object(
                'id', changelane.new_id(), 'op', 'insert', 'schema', 'public', 'table', 'orders',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row, 'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            )
        END AS message
        FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
            (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS new_row
    )
    INSERT INTO pgmq."q_events" (vt, message, headers)
    SELECT vt, message, changelane_headers || jsonb_build_object('x-pgmq-group', message ->> 'key') FROM made;
    IF FOUND THEN
        PERFORM pg_notify('changelane_events', '') FROM changelane.sleepers
            WHERE queue = 'events' AND until > clock_timestamp();
    END IF;
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_insert_71eb967f"() IS
    'changelane:1 project=golden route=orders spec=6fc2594ed7b2 live=71c051880706 queues=events';

CREATE OR REPLACE TRIGGER "!orders_insert_71eb967f"
    AFTER INSERT ON "public"."orders" REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."orders_insert_71eb967f"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!orders_insert_71eb967f" ON "public"."orders" IS
        'changelane:1 project=golden route=orders spec=6fc2594ed7b2 live=f4bd63d50401';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;
