-- Written by `changelane generate`: edit pipelines.yaml, not this file.

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'events') THEN
        PERFORM pgmq.create('events');
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_events',
            'changelane:1 project=golden queue=events spec=cfc28dec0042 live=950705191495 pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;
-- For turns of groups.
CREATE INDEX IF NOT EXISTS "q_events_group_idx" ON pgmq."q_events"
    (hashtextextended((COALESCE((message -> 'key'::text), 'null'::jsonb))::text,
        hashtextextended((COALESCE(((message -> 'new'::text) -> 'status'::text),
        ((message -> 'old'::text) -> 'status'::text), 'null'::jsonb))::text, (0)::bigint)), vt);
-- For the concurrency of groups.
CREATE INDEX IF NOT EXISTS "q_events_held_idx" ON pgmq."q_events"
    (hashtextextended((COALESCE((message -> 'key'::text), 'null'::jsonb))::text,
        hashtextextended((COALESCE(((message -> 'new'::text) -> 'status'::text),
        ((message -> 'old'::text) -> 'status'::text), 'null'::jsonb))::text, (0)::bigint)), vt)
    WHERE ((read_ct > 0) AND (((headers -> 'changelane'::text) -> 'seen'::text) IS NULL));
-- For the concurrency of the queue.
CREATE INDEX IF NOT EXISTS "q_events_lease_idx" ON pgmq."q_events"
    (vt)
    WHERE ((read_ct > 0) AND (((headers -> 'changelane'::text) -> 'seen'::text) IS NULL));

ALTER TABLE pgmq."q_events" SET (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);

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
