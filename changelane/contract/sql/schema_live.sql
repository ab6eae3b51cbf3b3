left(encode(sha256(convert_to(coalesce((
    SELECT jsonb_agg(jsonb_build_array(
        ours.signature, pg_get_function_arguments(proc.oid),
        coalesce(pg_get_function_sqlbody(proc.oid), proc.prosrc), language.lanname, proc.prosecdef,
        proc.provolatile::text, coalesce(proc.proconfig, '{}')
    ) ORDER BY ours.position)
    FROM unnest(ARRAY[
        'advance_schedule(text, text, text, timestamp with time zone, timestamp with time zone,'
            ' timestamp with time zone, bigint, timestamp with time zone)',
        'pause_schedule(text, text)', 'resume_schedule(text, text)', 'run_schedule(text, text)',
        'send_scheduled(changelane.schedules, timestamp with time zone)',
        'add_trace(jsonb)', 'digest(text)', 'doze(text[], double precision)',
        'headers(jsonb)', 'is_large(anyelement)', 'is_large(anyelement, anyelement)',
        'key_only(text, text, text, jsonb, jsonb)', 'mark_trigger(text, text, text)',
        'measure(record)', 'message(text, text, text, jsonb, anyelement, anycompatible)', 'new_id()',
        'pause(text)', 'resume(text)', 'rouse(text[])',
        'send_all(refcursor, text[], jsonb, integer, boolean)',
        'spend_tokens(text, bigint[], bigint[], boolean, double precision, double precision)',
        'begin_taking(text, bigint)', 'end_taking(bigint)', 'find_vanished(text[], bigint)',
        'tell_relays(text, jsonb)',
        'tell_worker(text, jsonb)', 'tell_history(jsonb)', 'fold_history()', 'ask_worker(text, text)',
        'weigh(anyelement, integer)'
    ]) WITH ORDINALITY AS ours (signature, position)
    -- This is no lookup by name, because that needs USAGE on the schema.
    JOIN pg_catalog.pg_proc AS proc
        ON proc.pronamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'changelane')
        AND proc.proname || '(' || oidvectortypes(proc.proargtypes) || ')' = ours.signature
    JOIN pg_catalog.pg_language AS language ON language.oid = proc.prolang
), '[]')::text, 'UTF8')), 'hex'), 12)
