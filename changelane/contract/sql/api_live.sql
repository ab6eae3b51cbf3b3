left(encode(sha256(convert_to(coalesce((
    SELECT jsonb_agg(jsonb_build_array(
        proc.proname, pg_get_function_arguments(proc.oid), pg_get_function_result(proc.oid),
        proc.prosrc, language.lanname, proc.prosecdef, proc.provolatile::text,
        coalesce(proc.proconfig, '{}')
    ) ORDER BY proc.proname COLLATE "C", pg_get_function_arguments(proc.oid) COLLATE "C")
    FROM pg_catalog.pg_proc AS proc
    JOIN pg_catalog.pg_language AS language ON language.oid = proc.prolang
    WHERE proc.pronamespace = pg_catalog.to_regnamespace('pgmq_public')
        AND proc.proname IN (
            'archive', 'archive_batch', 'delete', 'delete_batch', 'metrics', 'pop',
            'read', 'read_with_poll', 'send', 'send_batch', 'send_with_headers', 'set_visibility'
        )
), '[]')::text, 'UTF8')), 'hex'), 12)
