-- Written by `changelane generate`: edit pipelines.yaml, not this file.

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'customers') THEN
        PERFORM pgmq.create('customers');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_customers',
            'changelane:1 project=shop queue=customers spec=a7db789b8b0d live=a8b236498ecb pg=' || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'customers_dlq') THEN
        PERFORM pgmq.create('customers_dlq');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_customers_dlq',
            'changelane:1 project=shop queue=customers_dlq spec=7ece5a74c6a6 live=a8b236498ecb pg=' || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;
