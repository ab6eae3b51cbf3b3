-- Each run of schedule tick, which runs every second, must be sent once, or be counted as passed over because no
-- worker or no server was up. Each row of the result is an error.
WITH sent AS (
    SELECT (headers ->> 'scheduled_at')::timestamptz AS run FROM pgmq.q_ticks
), account AS (
    SELECT count(*) AS messages, count(DISTINCT run) AS distinct_runs, max(run) AS last,
        count(*) FILTER (WHERE run <> date_trunc('second', run)) AS strange
    FROM sent
)
SELECT 'ticks', what
FROM account, changelane.schedules AS schedule, LATERAL (
    VALUES
        (messages <> distinct_runs, format('%s messages of %s runs', messages, distinct_runs)),
        (messages <> schedule.runs, format('%s messages, and %s runs noted', messages, schedule.runs)),
        (last IS DISTINCT FROM schedule.last_at, format('last %s, noted %s', last, schedule.last_at)),
        (strange > 0, format('%s runs at no full second', strange)),
        (
            extract(epoch FROM last - date_trunc('second', schedule.since)) <> schedule.runs + schedule.passed_over,
            format('%s runs and %s passed over since %s, to %s', schedule.runs, schedule.passed_over, schedule.since, last)
        ),
        (messages = 0, 'nothing was sent')
) AS found (wrong, what)
WHERE wrong
