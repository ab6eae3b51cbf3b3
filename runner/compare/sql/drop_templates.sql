-- Template tables of pg_partman for new partitions, which pgmq leaves behind. They are kept if the queue is
-- kept.
DO $do$ DECLARE
    template text;
BEGIN
    IF EXISTS (
        SELECT FROM pgmq.meta WHERE queue_name = pg_catalog.current_setting('changelane.queue')
    ) THEN
        RETURN;
    END IF;
    FOREACH template IN ARRAY pg_catalog.current_setting('changelane.templates')::text[] LOOP
        EXECUTE pg_catalog.format(
            'DROP TABLE IF EXISTS %I.%I',
            pg_catalog.split_part(template, '.', 1), pg_catalog.split_part(template, '.', 2)
        );
    END LOOP;
END $do$;
