(SELECT NULL::text AS queue_name, NULL::timestamptz AS created_at WHERE false)
