-- Written by `changelane generate`: edit pipelines.yaml, not this file.

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'paid_orders') THEN
        PERFORM pgmq.create('paid_orders');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_paid_orders',
            'changelane:1 project=shop queue=paid_orders spec=9ea42f1b6008 live=a8b236498ecb pg=' || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'paid_orders_dlq') THEN
        PERFORM pgmq.create('paid_orders_dlq');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_paid_orders_dlq',
            'changelane:1 project=shop queue=paid_orders_dlq spec=8efad582eacc live=a8b236498ecb pg=' || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;
