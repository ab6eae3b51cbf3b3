left(encode(sha256(convert_to(coalesce((
    SELECT jsonb_agg(jsonb_build_array(
        ours.signature, pg_get_function_arguments(proc.oid), proc.prosrc, language.lanname,
        proc.prosecdef, proc.provolatile::text, coalesce(proc.proconfig, '{}')
    ) ORDER BY ours.position)
    FROM unnest(ARRAY[
        'advance_schedule(text, text, text, timestamptz, timestamptz, timestamptz, bigint, timestamptz)',
        'pause_schedule(text, text)', 'resume_schedule(text, text)', 'run_schedule(text, text)',
        'send_scheduled(changelane.schedules, timestamptz)',
        'add_trace(jsonb)', 'digest(text)', 'doze(text[], double precision)',
        'key_only(text, text, text, text, jsonb, jsonb)', 'measure(record)', 'new_id()',
        'pause(text)', 'resume(text)', 'rouse(text[])',
        'send_all(refcursor, text[], jsonb, integer, boolean)'
    ]) WITH ORDINALITY AS ours (signature, position)
    JOIN pg_catalog.pg_proc AS proc
        -- Before the table is made, its type is an error and not merely missing.
        ON proc.oid = CASE
            WHEN ours.signature !~ '[.]' OR pg_catalog.to_regclass('changelane.schedules') IS NOT NULL
            THEN pg_catalog.to_regprocedure('changelane.' || ours.signature)
        END
    JOIN pg_catalog.pg_language AS language ON language.oid = proc.prolang
), '[]')::text, 'UTF8')), 'hex'), 12)
