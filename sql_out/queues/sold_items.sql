-- Written by `changelane generate`: edit pipelines.yaml, not this file.

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'sold_items') THEN
        PERFORM pgmq.create('sold_items');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_sold_items',
            'changelane:1 project=shop queue=sold_items spec=a7f1a7199add live=a8b236498ecb pg=' || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'sold_items_failed') THEN
        PERFORM pgmq.create('sold_items_failed');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_sold_items_failed',
            'changelane:1 project=shop queue=sold_items_failed spec=3f0f07270b24 live=a8b236498ecb pg=' || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;
