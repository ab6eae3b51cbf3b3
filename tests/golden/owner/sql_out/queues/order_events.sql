-- Written by `changelane generate`: edit pipelines.yaml, not this file.

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'order_events') THEN
        PERFORM pgmq.create('order_events');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_order_events',
            'changelane:1 project=shop queue=order_events spec=db9ee3bc8cf3 live=950705191495 pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

ALTER TABLE pgmq."q_order_events" SET (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'order_events_dlq') THEN
        PERFORM pgmq.create('order_events_dlq');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_order_events_dlq',
            'changelane:1 project=shop queue=order_events_dlq spec=7d1525f615f9 live=950705191495 pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

ALTER TABLE pgmq."q_order_events_dlq" SET (autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);
