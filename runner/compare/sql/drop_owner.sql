-- The role owns nothing here any more, so this only revokes its rights. The role itself may be used in other
-- databases, and stays.
DO $do$
DECLARE
    role regrole := pg_catalog.current_setting('changelane.owner')::regrole;
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_shdepend
        WHERE refclassid = 'pg_authid'::regclass AND refobjid = role AND deptype = 'o'
            AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) THEN
        EXECUTE format('DROP OWNED BY %s RESTRICT', role);
    END IF;
END
$do$;
