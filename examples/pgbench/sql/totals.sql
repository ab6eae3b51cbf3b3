SELECT
    (SELECT count(*) FROM {source}),
    (SELECT count(*) FROM {replica} WHERE NOT deleted),
    (SELECT coalesce(sum({balance}), 0)::bigint FROM {source}),
    (SELECT coalesce(sum({balance}), 0)::bigint FROM {replica} WHERE NOT deleted),
    (SELECT coalesce(sum(delta), 0)::bigint FROM public.pgbench_history)
