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
-- To whom the schema is open: the owners of functions in it, and workers.
GRANT SELECT, INSERT, UPDATE ON changelane.sleepers TO PUBLIC;
GRANT SELECT ON changelane.pauses TO PUBLIC;
COMMENT ON SCHEMA changelane IS 'changelane:schema 4';
