-- The queue's name is passed as a setting, because a DO block takes no parameters.
DO $do$ DECLARE
    queue text := pg_catalog.current_setting('changelane.queue');
    holds boolean;
BEGIN
    EXECUTE pg_catalog.format(
        'SELECT EXISTS (SELECT FROM pgmq.%I) OR EXISTS (SELECT FROM pgmq.%I)',
        'q_' || pg_catalog.lower(queue), 'a_' || pg_catalog.lower(queue)
    ) INTO holds;
    IF NOT holds THEN
        PERFORM pgmq.drop_queue(queue);
    END IF;
END $do$;
