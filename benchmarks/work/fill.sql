-- Messages fall due a microsecond apart, the last one at the given time.
INSERT INTO pgmq.q_bench (vt, message, headers)
SELECT to_timestamp(%(due)s) - (%(count)s - number) * interval '1 microsecond',
    jsonb_build_object(
        'op', 'insert', 'schema', 'public', 'table', 'orders', 'key', jsonb_build_object('id', number), 'old', null,
        'txid', '8412', 'at', '2026-11-22T18:54:03.120311+00:00',
        'new', jsonb_build_object(
            'id', number, 'customer_id', number %% 1000, 'status', 'paid', 'total', 12.50,
            'note', repeat(md5(number::text), %(size)s::integer / 32)
        )
    ),
    jsonb_build_object('route', 'paid_orders')
FROM generate_series(1, %(count)s) AS number
