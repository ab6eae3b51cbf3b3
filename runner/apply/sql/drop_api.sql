-- Never CASCADE: objects of others that use the functions, or are in the schema, keep them from being
-- dropped.
DO $do$ DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT oid::pg_catalog.regprocedure AS signature
        FROM pg_catalog.pg_proc
        WHERE pronamespace = pg_catalog.to_regnamespace('pgmq_public')
            AND proname IN (
                'archive', 'archive_batch', 'delete', 'delete_batch', 'metrics', 'pop', 'read', 'read_with_poll',
                'send', 'send_batch', 'send_with_headers', 'set_visibility'
            )
    LOOP
        EXECUTE pg_catalog.format('DROP FUNCTION %s', found.signature);
    END LOOP;
    IF EXISTS (
        SELECT FROM pg_catalog.pg_depend
        WHERE refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
            AND refobjid = pg_catalog.to_regnamespace('pgmq_public')
    ) THEN
        COMMENT ON SCHEMA pgmq_public IS NULL;
    ELSE
        DROP SCHEMA pgmq_public;
    END IF;
END $do$;
