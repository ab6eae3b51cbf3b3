-- The same messages, made from the table's rows and inserted by hand into a table like the queue's.
DO $$
DECLARE
    began timestamptz := clock_timestamp();
BEGIN
    INSERT INTO bench.floor (vt, message, headers)
    SELECT clock_timestamp(),
           jsonb_build_object(
               'op', 'insert', 'schema', 'bench', 'table', 'source', 'key', jsonb_build_object('id', source.id),
               'new', to_jsonb(source),
               'old', CASE WHEN current_setting('bench.update')::boolean THEN to_jsonb(source) END,
               'txid', pg_current_xact_id()::text, 'at', now()
           ),
           '{"route": "bench"}'
    FROM bench.source;
    PERFORM set_config('bench.took', (extract(epoch FROM clock_timestamp() - began))::text, false);
END
$$;
