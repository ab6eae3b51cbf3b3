-- Queues partitioned by time.
SELECT substr(queue.parent_table, 8) AS name,
       extract(epoch FROM queue.partition_interval::interval)::bigint AS interval,
       extract(epoch FROM queue.retention::interval)::bigint AS retain,
       extract(epoch FROM archive.retention::interval)::bigint AS retain_archive,
       queue.infinite_time_partitions AND coalesce(archive.infinite_time_partitions, false) AS endless,
       queue.template_table AS template,
       archive.template_table AS archive_template
FROM {schema}.part_config AS queue
LEFT JOIN {schema}.part_config AS archive
    ON archive.parent_table = 'pgmq.a_' || substr(queue.parent_table, 8) AND archive.control = 'archived_at'
WHERE starts_with(queue.parent_table, 'pgmq.q_') AND queue.control = 'enqueued_at'
