-- One project at a time: two that apply at once would both find the schema missing.
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('changelane:schema', 0));
-- IF NOT EXISTS would want the right to create a schema that is there.
DO $do$ BEGIN
    IF pg_catalog.to_regnamespace('changelane') IS NULL THEN
        CREATE SCHEMA changelane;
    END IF;
END $do$;
REVOKE ALL ON SCHEMA changelane FROM PUBLIC;
SET LOCAL client_min_messages = warning;
-- Until when a worker of a queue sleeps; the capture functions notify it then. UNLOGGED: a crash ends the sleep,
-- for it ends the workers' connections, too.
CREATE UNLOGGED TABLE IF NOT EXISTS changelane.sleepers (queue text PRIMARY KEY, until timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS changelane.pauses (
    queue text PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT pg_catalog.now()
);
-- How far backfills and replays have come, so that those cut short go on where they were.
CREATE TABLE IF NOT EXISTS changelane.progress (
    task text PRIMARY KEY,
    asked jsonb NOT NULL,
    after jsonb,
    done bigint NOT NULL DEFAULT 0,
    since timestamptz NOT NULL DEFAULT pg_catalog.now()
);
-- What people changed by the dashboard. Nobody but its owner, and whom they grant it, may write or read it.
CREATE TABLE IF NOT EXISTS changelane.audit (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    who text NOT NULL,
    remote text NOT NULL,
    action text NOT NULL,
    queue text,
    arguments jsonb NOT NULL,
    outcome text NOT NULL
);
-- Who may write a table may lock it, and every write that is captured reads this one: so workers write it by functions.
CREATE OR REPLACE FUNCTION changelane.doze(queues text[], seconds double precision) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $doze$
    INSERT INTO changelane.sleepers AS held (queue, until)
    SELECT queue, clock_timestamp() + least(seconds, 60) * interval '1 second'
    FROM (SELECT DISTINCT unnest(queues) AS queue) AS named
    WHERE EXISTS (
        SELECT FROM pg_class WHERE relnamespace = to_regnamespace('pgmq') AND relname = 'q_' || queue
    )
    ORDER BY queue
    ON CONFLICT (queue) DO UPDATE SET until = greatest(held.until, excluded.until);
$doze$;
CREATE OR REPLACE FUNCTION changelane.rouse(queues text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $rouse$
    UPDATE changelane.sleepers SET until = '-infinity' WHERE queue = ANY (queues);
$rouse$;
-- For people: EXECUTE lets a role stop and start workers, and lock no table that they read.
CREATE OR REPLACE FUNCTION changelane.pause(queue text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $pause$
BEGIN
    INSERT INTO changelane.pauses (queue) VALUES ($1) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$pause$;
CREATE OR REPLACE FUNCTION changelane.resume(queue text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $resume$
BEGIN
    DELETE FROM changelane.pauses AS held WHERE held.queue = $1;
    RETURN FOUND;
END
$resume$;
REVOKE ALL ON FUNCTION changelane.pause(text), changelane.resume(text) FROM PUBLIC;
-- To whom the schema is open: the owners of functions in it, and workers.
REVOKE ALL ON changelane.sleepers, changelane.pauses FROM PUBLIC;
-- By column: tools that compare schemas repeat rights on whole tables, and take PUBLIC for the name of a role.
GRANT SELECT (queue, until) ON changelane.sleepers TO PUBLIC;
GRANT SELECT (queue, since) ON changelane.pauses TO PUBLIC;
GRANT EXECUTE ON FUNCTION changelane.doze(text[], double precision), changelane.rouse(text[]) TO PUBLIC;
COMMENT ON SCHEMA changelane IS 'changelane:schema 7';
