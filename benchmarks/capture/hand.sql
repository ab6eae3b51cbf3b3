-- A typical trigger written by hand: a row trigger that calls pgmq.send with two arguments.
CREATE FUNCTION bench.hand() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pgmq.send('bench', jsonb_build_object(
        'op', lower(TG_OP), 'schema', TG_TABLE_SCHEMA, 'table', TG_TABLE_NAME,
        'key', jsonb_build_object('id', NEW.id),
        'new', to_jsonb(NEW),
        'old', CASE WHEN TG_OP = 'UPDATE' THEN to_jsonb(OLD) END,
        'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
    ));
    RETURN NULL;
END
$$;
