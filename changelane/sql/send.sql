-- Names are qualified, because the session is the caller's. Capture reads the flag of a sleeping worker directly. Here
-- ts_stat reads it by a query given as text, because the table may not exist or the role may not read it.
SELECT pg_catalog.array_agg(sent.msg_id), (
    SELECT pg_catalog.count(*)
    FROM pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid OPERATOR(pg_catalog.=) class.relnamespace
    CROSS JOIN LATERAL pg_catalog.ts_stat(
        pg_catalog.format(
            'SELECT CASE WHEN pg_catalog.pg_notify(%%L, '''')::text IS NOT NULL THEN NULL::pg_catalog.tsvector END
            FROM %%I.%%I
            WHERE queue OPERATOR(pg_catalog.=) %%L AND until OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()',
            'changelane_' OPERATOR(pg_catalog.||) %(queue)s::text, namespace.nspname, class.relname, %(queue)s::text
        )
    ) AS woken
    WHERE namespace.nspname OPERATOR(pg_catalog.=) 'changelane'
        AND class.relname OPERATOR(pg_catalog.=) 'sleepers'
        AND pg_catalog.has_schema_privilege(namespace.oid, 'USAGE')
        AND pg_catalog.has_table_privilege(class.oid, 'SELECT')
)
FROM pgmq.send_batch(
    %(queue)s::text,
    %(messages)s::text[]::jsonb[],
    pg_catalog.array_fill(
        %(headers)s::jsonb OPERATOR(pg_catalog.||) CASE
            WHEN %(key)s::jsonb IS NULL THEN '{}'::jsonb
            ELSE pg_catalog.jsonb_build_object(
                'x-pgmq-group', %(key)s::jsonb OPERATOR(pg_catalog.#>>) '{}'::text[]
            )
        END,
        ARRAY[pg_catalog.cardinality(%(messages)s::text[])]
    ),
    pg_catalog.clock_timestamp()
        OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => %(delay)s::float8)
) AS sent (msg_id)
