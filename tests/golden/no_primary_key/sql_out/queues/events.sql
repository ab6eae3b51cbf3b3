-- Written by `changelane generate`: edit pipelines.yaml, not this file.

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'events') THEN
        PERFORM pgmq.create('events');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_events',
            'changelane:1 project=golden queue=events spec=fd830b7e8e91 live=a8b236498ecb pg=' || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'events_dlq') THEN
        PERFORM pgmq.create('events_dlq');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_events_dlq',
            'changelane:1 project=golden queue=events_dlq spec=6fcd9179f7b3 live=a8b236498ecb pg=' || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;
