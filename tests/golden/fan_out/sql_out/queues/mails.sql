-- Written by `changelane generate`: edit pipelines.yaml, not this file.

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'mails') THEN
        PERFORM pgmq.create('mails');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_mails',
            'changelane:1 project=golden queue=mails spec=c85d78a1d66a live=a8b236498ecb pg=' || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'mails_dlq') THEN
        PERFORM pgmq.create('mails_dlq');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_mails_dlq',
            'changelane:1 project=golden queue=mails_dlq spec=97d8b485d7a5 live=a8b236498ecb pg=' || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;
