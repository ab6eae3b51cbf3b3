SELECT msg_id,
       read_ct,
       enqueued_at,
       vt,
       {archived_at} AS archived_at,
       extract(epoch FROM vt - now())::float8 AS due,
       coalesce(
           CASE jsonb_typeof(headers) WHEN 'object' THEN headers ->> 'x-pgmq-group' END,
           CASE jsonb_typeof(message) WHEN 'object' THEN nullif(message -> 'key', 'null')::text END
       ) AS key,
       left(message::text, 200) AS start,
       octet_length(message::text) AS size
FROM {table}
WHERE {within} AND {beyond} AND {filters}
ORDER BY {order}
LIMIT {limit}
