-- Written by `changelane generate`: edit pipelines.yaml, not this file.

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'copies') THEN
        PERFORM pgmq.create('copies');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_copies',
            'changelane:1 project=golden queue=copies spec=2e2a38604b54 live=a8b236498ecb pg=' || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'copies_dlq') THEN
        PERFORM pgmq.create('copies_dlq');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_copies_dlq',
            'changelane:1 project=golden queue=copies_dlq spec=e34823c95c52 live=a8b236498ecb pg=' || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;
