-- Written by `changelane generate`: edit pipelines.yaml, not this file.

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'stock') THEN
        PERFORM pgmq.create('stock');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_stock',
            'changelane:1 project=golden queue=stock spec=cb01d5945868 live=950705191495 pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

ALTER TABLE pgmq."q_stock" SET (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'stock_failed') THEN
        PERFORM pgmq.create('stock_failed');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_stock_failed',
            'changelane:1 project=golden queue=stock_failed spec=1076311bafb1 live=950705191495 pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

ALTER TABLE pgmq."q_stock_failed" SET (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);
