-- Written by `changelane generate`: edit pipelines.yaml, not this file.

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'paid_orders') THEN
        PERFORM pgmq.create('paid_orders');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_paid_orders',
            'changelane:1 project=shop queue=paid_orders spec=726770a81645 live=950705191495 pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

ALTER TABLE pgmq."q_paid_orders" SET (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'paid_orders_dlq') THEN
        PERFORM pgmq.create('paid_orders_dlq');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_paid_orders_dlq',
            'changelane:1 project=shop queue=paid_orders_dlq spec=6533b5217645 live=950705191495 pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

ALTER TABLE pgmq."q_paid_orders_dlq" SET (autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);
