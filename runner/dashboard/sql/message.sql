SELECT msg_id,
       read_ct,
       enqueued_at,
       vt,
       {archived_at} AS archived_at,
       extract(epoch FROM vt - now())::float8 AS due,
       octet_length(message::text) AS size,
       left(jsonb_pretty(message), %(shown)s) AS message,
       left(jsonb_pretty(headers), %(shown)s) AS headers
FROM {table}
WHERE msg_id = %(msg_id)s::bigint
