-- Drops all types and functions of pgmq, types with CASCADE, as its script to 1.10.0 does. Queues stay, and get
-- the column of 1.10.0.
DO $do$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT format('pgmq.%I', relname) FROM pg_class
        WHERE relnamespace = 'pgmq'::regnamespace AND relkind IN ('r', 'p') AND relname ~ '^[qa]_'
        ORDER BY relname
    LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN IF NOT EXISTS last_read_at timestamptz', name);
    END LOOP;
    DROP TYPE IF EXISTS pgmq.message_record, pgmq.queue_record, pgmq.metrics_result CASCADE;
    FOR name IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'pgmq'::regnamespace LOOP
        EXECUTE format('DROP FUNCTION %s', name);
    END LOOP;
END
$do$;
