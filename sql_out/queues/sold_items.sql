-- Written by `changelane generate`: edit pipelines.yaml, not this file.

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'sold_items') THEN
        PERFORM pgmq.create('sold_items');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_sold_items',
            'changelane:1 project=shop queue=sold_items spec=c606295009e7 live=950705191495 pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

ALTER TABLE pgmq."q_sold_items" SET (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'sold_items_failed') THEN
        PERFORM pgmq.create('sold_items_failed');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_sold_items_failed',
            'changelane:1 project=shop queue=sold_items_failed spec=1b6261377110 live=950705191495 pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

ALTER TABLE pgmq."q_sold_items_failed" SET (autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);
