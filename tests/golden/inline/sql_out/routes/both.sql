-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."both_delete_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
BEGIN
    WITH made AS MATERIALIZED (
        SELECT clock_timestamp() AS vt, CASE WHEN changelane.is_large(old_row.changelane_row)
            THEN changelane.key_only('delete', 'public', 'orders', jsonb_build_object('id', old_row."id"),
                jsonb_build_object('id', old_row."id"))
            ELSE changelane.message('delete', 'public', 'orders', jsonb_build_object('id', old_row."id"),
                NULL::text, old_row.changelane_row)
        END AS message
        FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
            (SELECT "id", changelane_old AS changelane_row FROM changelane_old) AS old_row
    ), "sent_1" AS (
        INSERT INTO pgmq."q_events" (vt, message, headers)
        SELECT vt, message, (SELECT changelane.headers('{"route": "both"}')) FROM made
    )
    INSERT INTO pgmq."q_copies" (vt, message, headers)
    SELECT vt, message, (SELECT changelane.headers('{"route": "both"}')) FROM made;
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."both_delete_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."both_delete_71eb967f"() IS
    'changelane:1 project=golden route=both spec=6e42d4ccaa27 live=450ec3fbbf34 queues=events,copies';
CREATE OR REPLACE TRIGGER "!both_delete_71eb967f" AFTER DELETE ON "public"."orders"
    REFERENCING OLD TABLE AS changelane_old FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."both_delete_71eb967f"();
CALL changelane.mark_trigger('!both_delete_71eb967f', '"public"."orders"',
    'changelane:1 project=golden route=both spec=6e42d4ccaa27 live=0b80cb554e05');
