DROP FUNCTION IF EXISTS
    changelane.advance_schedule(
        text, text, text, timestamptz, timestamptz, timestamptz, bigint, timestamptz
    ),
    changelane.pause_schedule(text, text), changelane.resume_schedule(text, text),
    changelane.run_schedule(text, text);
-- The function takes a row of the table. An older version has the function without the table.
DO $do$ BEGIN
    IF pg_catalog.to_regclass('changelane.schedules') IS NOT NULL THEN
        DROP FUNCTION IF EXISTS changelane.send_scheduled(changelane.schedules, timestamptz);
        DROP TABLE changelane.schedules;
    END IF;
END $do$;
DROP TABLE IF EXISTS changelane.sleepers, changelane.pauses, changelane.progress, changelane.found_rights,
    changelane.relays, changelane.workers, changelane.history, changelane.buckets, changelane.takers;
DROP FUNCTION IF EXISTS changelane.message(text, text, text, jsonb, anyelement, anycompatible),
    changelane.new_id(), changelane.headers(jsonb), changelane.add_trace(jsonb),
    changelane.send_all(refcursor, text[], jsonb, integer, boolean),
    changelane.key_only(text, text, text, jsonb, jsonb), changelane.measure(record),
    changelane.weigh(anyelement, integer), changelane.is_large(anyelement),
    changelane.is_large(anyelement, anyelement), changelane.digest(text), changelane.doze(text[], double precision),
    changelane.spend_tokens(text, bigint[], bigint[], boolean, double precision, double precision),
    changelane.begin_taking(text, bigint), changelane.end_taking(bigint), changelane.find_vanished(text[], bigint),
    changelane.rouse(text[]), changelane.tell_relays(text, jsonb), changelane.tell_worker(text, jsonb),
    changelane.tell_history(jsonb), changelane.fold_history(), changelane.ask_worker(text, text), changelane.pause(text), changelane.resume(text);
DROP PROCEDURE IF EXISTS changelane.mark_trigger(text, text, text);
-- Older schema versions have it with one argument more, and routes that were not applied since still call it.
DROP FUNCTION IF EXISTS changelane.key_only(text, text, text, text, jsonb, jsonb);
-- The audit log is kept, and so is the schema that holds it.
DO $do$ BEGIN
    IF pg_catalog.to_regclass('changelane.audit') IS NOT NULL THEN
        IF EXISTS (SELECT FROM changelane.audit) THEN
            RETURN;
        END IF;
        DROP TABLE changelane.audit;
    END IF;
    DROP SCHEMA changelane;
END $do$;
