-- Written by `changelane generate`: edit pipelines.yaml, not this file.

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'events') THEN
        PERFORM pgmq.create('events');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_events',
            'changelane:1 project=golden queue=events spec=99e9c7624a77 live=3be087171e4d pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;
DO $changelane$
BEGIN
    -- Some versions of pgmq make this index under another name, others make none.
    IF NOT EXISTS (
        SELECT FROM pg_index AS index
        JOIN pg_attribute AS attribute
            ON attribute.attrelid = index.indrelid AND attribute.attnum = index.indkey[0]
        WHERE index.indrelid = to_regclass('pgmq."a_events"')
            AND attribute.attname = 'archived_at' AND index.indisvalid
    ) THEN
        CREATE INDEX "a_events_age_idx" ON pgmq."a_events" (archived_at);
    END IF;
END
$changelane$;

ALTER TABLE pgmq."q_events" SET (autovacuum_vacuum_cost_delay = 2, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000), RESET (autovacuum_enabled);

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
