DO $do$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('changelane:schema', 0));
    IF NOT EXISTS (
        SELECT FROM pg_depend
        WHERE refclassid = 'pg_namespace'::regclass AND refobjid = to_regnamespace('changelane_access')
    ) THEN
        DROP SCHEMA IF EXISTS changelane_access RESTRICT;
    END IF;
END
$do$;
