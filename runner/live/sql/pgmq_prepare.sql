-- Without this lock, two installs at once would both find nothing, and the second would fail half-way.
SET LOCAL client_min_messages = warning;
DO $$ BEGIN PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('changelane install pgmq', 0)); END $$;
