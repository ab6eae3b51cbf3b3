-- Written by `changelane generate`: edit pipelines.yaml, not this file.

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'events') THEN
        PERFORM pgmq.create_unlogged('events');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_events',
            'changelane:1 project=golden queue=events spec=666790226389 live=b9f65d0623f5 pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

ALTER TABLE pgmq."q_events" SET (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);
DO $changelane$
DECLARE
    numbers regclass := pg_get_serial_sequence('pgmq."q_events"', 'msg_id');
BEGIN
    -- Otherwise ids would restart after a crash, and collide with ids in the archive.
    IF EXISTS (SELECT FROM pg_class WHERE oid = numbers AND relpersistence = 'u') THEN
        EXECUTE format('ALTER SEQUENCE %s SET LOGGED', numbers);
    END IF;
END
$changelane$;

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'events_dlq') THEN
        PERFORM pgmq.create('events_dlq');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_events_dlq',
            'changelane:1 project=golden queue=events_dlq spec=34879cd7e2ea live=950705191495 pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

ALTER TABLE pgmq."q_events_dlq" SET (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);
