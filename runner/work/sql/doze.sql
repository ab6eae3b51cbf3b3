INSERT INTO changelane.sleepers (queue, until)
SELECT queue, clock_timestamp() + %(seconds)s * interval '1 second'
FROM unnest(%(queues)s::text[]) AS queue
ORDER BY queue
ON CONFLICT (queue) DO UPDATE SET until = greatest(sleepers.until, excluded.until)
