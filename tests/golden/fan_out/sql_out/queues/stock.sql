-- Written by `changelane generate`: edit pipelines.yaml, not this file.

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'stock') THEN
        PERFORM pgmq.create('stock');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_stock',
            'changelane:1 project=golden queue=stock spec=794cc2c806d9 live=a8b236498ecb pg=' || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'stock_failed') THEN
        PERFORM pgmq.create('stock_failed');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_stock_failed',
            'changelane:1 project=golden queue=stock_failed spec=7cfda7ac648f live=a8b236498ecb pg=' || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;
