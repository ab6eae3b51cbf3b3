-- Floors for a trigger that sends through pgmq.send: row triggers that send the same message by a static call.
-- They look for no size, no condition, no trace and no sleeping worker.
CREATE FUNCTION bench.bare_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pgmq.send('bench', changelane.message('insert', 'bench', 'bare',
        jsonb_build_object('id', NEW.id), NEW, NULL), '{"route": "bare"}', clock_timestamp());
    RETURN NULL;
END
$$;
CREATE FUNCTION bench.bare_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pgmq.send('bench', changelane.message('update', 'bench', 'bare',
        jsonb_build_object('id', NEW.id), NEW, OLD), '{"route": "bare"}', clock_timestamp());
    RETURN NULL;
END
$$;
-- The same with the rights of an owner and the pinned settings, as capture functions have them.
CREATE FUNCTION bench.guarded_insert() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off AS $$
BEGIN
    PERFORM pgmq.send('bench', changelane.message('insert', 'bench', 'guarded',
        jsonb_build_object('id', NEW.id), NEW, NULL), '{"route": "guarded"}', clock_timestamp());
    RETURN NULL;
END
$$;
CREATE FUNCTION bench.guarded_update() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off AS $$
BEGIN
    PERFORM pgmq.send('bench', changelane.message('update', 'bench', 'guarded',
        jsonb_build_object('id', NEW.id), NEW, OLD), '{"route": "guarded"}', clock_timestamp());
    RETURN NULL;
END
$$;
