DROP TABLE IF EXISTS changelane.sleepers, changelane.pauses, changelane.progress;
DROP FUNCTION IF EXISTS changelane.measure(record), changelane.digest(text), changelane.doze(text[], double precision),
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
