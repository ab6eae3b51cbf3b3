DROP FUNCTION IF EXISTS
    changelane.advance_schedule(
        text, text, text, timestamptz, timestamptz, timestamptz, bigint, timestamptz
    ),
    changelane.pause_schedule(text, text), changelane.resume_schedule(text, text),
    changelane.run_schedule(text, text);
-- It takes a row of the table, which is of an older version where there is none.
DO $do$ BEGIN
    IF pg_catalog.to_regclass('changelane.schedules') IS NOT NULL THEN
        DROP FUNCTION IF EXISTS changelane.send_scheduled(changelane.schedules, timestamptz);
        DROP TABLE changelane.schedules;
    END IF;
END $do$;
DROP TABLE IF EXISTS changelane.sleepers, changelane.pauses, changelane.progress;
DROP FUNCTION IF EXISTS changelane.new_id(), changelane.add_trace(jsonb), changelane.send_all(refcursor, text[], jsonb, integer, boolean),
    changelane.key_only(text, text, text, text, jsonb, jsonb), changelane.measure(record),
    changelane.digest(text), changelane.doze(text[], double precision),
    changelane.rouse(text[]), changelane.pause(text), changelane.resume(text);
-- What people did stays on record, and with it the schema.
DO $do$ BEGIN
    IF pg_catalog.to_regclass('changelane.audit') IS NOT NULL THEN
        IF EXISTS (SELECT FROM changelane.audit) THEN
            RETURN;
        END IF;
        DROP TABLE changelane.audit;
    END IF;
    DROP SCHEMA changelane;
END $do$;
