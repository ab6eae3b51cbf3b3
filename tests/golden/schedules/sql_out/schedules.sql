-- Written by `changelane generate`: edit pipelines.yaml, not this file.

-- Schedule heartbeat.
INSERT INTO changelane.schedules AS held (project, name, queue, cron, every, timezone, body, missed, spec)
VALUES (
    'shop',
    'heartbeat',
    'beats',
    NULL,
    30,
    'UTC',
    '{}',
    'once',
    '86a1e5ccdd85'
)
ON CONFLICT (project, name) DO UPDATE SET
    queue = excluded.queue,
    cron = excluded.cron,
    every = excluded.every,
    timezone = excluded.timezone,
    body = excluded.body,
    missed = excluded.missed,
    spec = excluded.spec,
    -- A changed time counts from now. Any other change keeps the next run.
    since = CASE
        WHEN (held.cron, held.every, held.timezone)
            IS DISTINCT FROM (excluded.cron, excluded.every, excluded.timezone) THEN clock_timestamp()
        ELSE held.since
    END,
    next_at = CASE
        WHEN (held.cron, held.every, held.timezone)
            IS DISTINCT FROM (excluded.cron, excluded.every, excluded.timezone) THEN NULL
        ELSE held.next_at
    END;

-- Schedule nightly_report.
INSERT INTO changelane.schedules AS held (project, name, queue, cron, every, timezone, body, missed, spec)
VALUES (
    'shop',
    'nightly_report',
    'reports',
    '0 3 * * *',
    NULL,
    'Europe/Paris',
    E'{"kind": "nightly''s \\\\ report", "days": [1, 1, 2.5], "all": true, "none": null}',
    'skip',
    '442ba32dba06'
)
ON CONFLICT (project, name) DO UPDATE SET
    queue = excluded.queue,
    cron = excluded.cron,
    every = excluded.every,
    timezone = excluded.timezone,
    body = excluded.body,
    missed = excluded.missed,
    spec = excluded.spec,
    -- A changed time counts from now. Any other change keeps the next run.
    since = CASE
        WHEN (held.cron, held.every, held.timezone)
            IS DISTINCT FROM (excluded.cron, excluded.every, excluded.timezone) THEN clock_timestamp()
        ELSE held.since
    END,
    next_at = CASE
        WHEN (held.cron, held.every, held.timezone)
            IS DISTINCT FROM (excluded.cron, excluded.every, excluded.timezone) THEN NULL
        ELSE held.next_at
    END;

-- Schedule tick.
INSERT INTO changelane.schedules AS held (project, name, queue, cron, every, timezone, body, missed, spec)
VALUES (
    'shop',
    'tick',
    'beats',
    '@hourly',
    NULL,
    'UTC',
    '"tick"',
    'once',
    '2d45bb96ee01'
)
ON CONFLICT (project, name) DO UPDATE SET
    queue = excluded.queue,
    cron = excluded.cron,
    every = excluded.every,
    timezone = excluded.timezone,
    body = excluded.body,
    missed = excluded.missed,
    spec = excluded.spec,
    -- A changed time counts from now. Any other change keeps the next run.
    since = CASE
        WHEN (held.cron, held.every, held.timezone)
            IS DISTINCT FROM (excluded.cron, excluded.every, excluded.timezone) THEN clock_timestamp()
        ELSE held.since
    END,
    next_at = CASE
        WHEN (held.cron, held.every, held.timezone)
            IS DISTINCT FROM (excluded.cron, excluded.every, excluded.timezone) THEN NULL
        ELSE held.next_at
    END;
