-- Written by `changelane generate`: edit pipelines.yaml, not this file.

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'events') THEN
        -- Partitions begin at midnight in the session's time zone, so it must always be the same zone.
        PERFORM set_config('TimeZone', 'UTC', true);
        PERFORM pgmq.create_partitioned('events', '1 day', '14 days');
        -- pg_partman changes the search_path of the session. This restores it after the transaction.
        PERFORM set_config(name, reset_val, false), set_config(name, setting, true)
        FROM pg_settings WHERE name = 'search_path';
        -- Workers claim by the first index and acknowledge by the second. pgmq makes neither.
        CREATE INDEX "q_events_vt_idx" ON pgmq."q_events" (vt);
        CREATE INDEX "q_events_msg_id_idx" ON pgmq."q_events" (msg_id);
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_events',
            'changelane:1 project=golden queue=events spec=71e3695b4a72 live=a7afd69eb918 pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;
CREATE INDEX IF NOT EXISTS "q_events_key_idx" ON pgmq."q_events"
    ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id);
DO $changelane$
BEGIN
    -- Some versions of pgmq make this index under another name, others make none.
    IF NOT EXISTS (
        SELECT FROM pg_index AS index
        JOIN pg_attribute AS attribute
            ON attribute.attrelid = index.indrelid AND attribute.attnum = index.indkey[0]
        WHERE index.indrelid = to_regclass('pgmq."a_events"')
            AND attribute.attname = 'archived_at' AND index.indisvalid
    ) THEN
        CREATE INDEX "a_events_age_idx" ON pgmq."a_events" (archived_at);
    END IF;
END
$changelane$;

DO $changelane$
DECLARE
    config regclass := (
        SELECT format('%I.part_config', nspname)
        FROM pg_extension JOIN pg_namespace AS home ON home.oid = extnamespace
        WHERE extname = 'pg_partman'
    );
    part text;
BEGIN
    -- Without infinite_time_partitions, pg_partman makes partitions only while messages arrive. A queue that
    -- was idle or empty would then have no partition for its next message.
    EXECUTE format(
        'UPDATE %s SET retention = %L, infinite_time_partitions = true WHERE parent_table = %L',
        config, '14 days', 'pgmq.q_events'
    );
    EXECUTE format(
        'UPDATE %s SET retention = %L, infinite_time_partitions = true WHERE parent_table = %L',
        config, '30 days', 'pgmq.a_events'
    );
    -- A partitioned table has no storage parameters; its partitions and the template for new ones do.
    FOR part IN EXECUTE format(
        'SELECT relid::regclass::text FROM pg_partition_tree(%L) WHERE isleaf'
        ' UNION ALL SELECT class.oid::regclass::text FROM %s JOIN pg_namespace AS home ON true'
        ' JOIN pg_class AS class ON class.relnamespace = home.oid'
        ' WHERE parent_table = %L AND template_table = home.nspname || ''.'' || class.relname',
        'pgmq."q_events"', config, 'pgmq.q_events'
    ) LOOP
        EXECUTE format(
            'ALTER TABLE %s SET (
                autovacuum_vacuum_cost_delay = 0,
                autovacuum_vacuum_scale_factor = 0,
                autovacuum_vacuum_threshold = 1000
            ), RESET (autovacuum_enabled)',
            part
        );
    END LOOP;
END
$changelane$;

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'events_dlq') THEN
        PERFORM pgmq.create('events_dlq');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_events_dlq',
            'changelane:1 project=golden queue=events_dlq spec=34879cd7e2ea live=950705191495 pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

ALTER TABLE pgmq."q_events_dlq" SET (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);
