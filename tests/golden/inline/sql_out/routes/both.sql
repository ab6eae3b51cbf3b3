-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."both_delete_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "both"}';
BEGIN
    IF current_setting('changelane.traceparent', true) <> '' THEN
        changelane_headers := changelane.add_trace(changelane_headers);
    END IF;

    WITH made AS MATERIALIZED (
        SELECT clock_timestamp() AS vt, CASE
            WHEN pg_column_size(old_row.changelane_row) > pg_size_bytes('128 kB')
                AND changelane.measure(old_row.changelane_row) > pg_size_bytes('16 MB')
            THEN changelane.key_only(
                changelane.new_id(), 'delete', 'public', 'orders',
                jsonb_build_object('id', old_row."id"),
                jsonb_build_object('id', old_row."id")
            )
            ELSE jsonb_build_object(
                'id', changelane.new_id(), 'op', 'delete', 'schema', 'public', 'table', 'orders',
                'key', jsonb_build_object('id', old_row."id"),
                'new', NULL, 'old', old_row.changelane_row,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            )
        END AS message
        FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
            (SELECT "id", changelane_old AS changelane_row FROM changelane_old) AS old_row
    ), "sent_1" AS (
        INSERT INTO pgmq."q_events" (vt, message, headers)
        SELECT vt, message, changelane_headers FROM made
    )
    INSERT INTO pgmq."q_copies" (vt, message, headers)
    SELECT vt, message, changelane_headers FROM made;
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."both_delete_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."both_delete_71eb967f"() IS
    'changelane:1 project=golden route=both spec=72818249fd7b live=65261daa30f1 queues=events,copies';

CREATE OR REPLACE TRIGGER "!both_delete_71eb967f"
    AFTER DELETE ON "public"."orders" REFERENCING OLD TABLE AS changelane_old
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."both_delete_71eb967f"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!both_delete_71eb967f" ON "public"."orders" IS
        'changelane:1 project=golden route=both spec=72818249fd7b live=0b80cb554e05';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;
