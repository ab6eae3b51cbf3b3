-- Roles, schemas, grants and an event trigger as a Supabase project has them.
CREATE ROLE {postgres} LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS;
CREATE ROLE {supabase_auth_admin} LOGIN NOINHERIT CREATEROLE;
CREATE ROLE {supabase_storage_admin} LOGIN NOINHERIT CREATEROLE;
CREATE ROLE {authenticator} LOGIN NOINHERIT;
CREATE ROLE {anon} NOLOGIN;
CREATE ROLE {authenticated} NOLOGIN;
CREATE ROLE {service_role} NOLOGIN BYPASSRLS;
GRANT {anon}, {authenticated}, {service_role} TO {authenticator};
GRANT {anon}, {authenticated}, {service_role} TO {postgres} WITH ADMIN OPTION;

CREATE SCHEMA IF NOT EXISTS auth;
GRANT USAGE ON SCHEMA auth TO {postgres}, {anon}, {authenticated}, {service_role};
GRANT ALL ON SCHEMA auth TO {supabase_auth_admin};
CREATE TABLE auth.users (id uuid PRIMARY KEY, email text, raw_user_meta_data jsonb);
ALTER TABLE auth.users OWNER TO {supabase_auth_admin};
ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
GRANT ALL ON auth.users TO {postgres};
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE
    AS $$ SELECT nullif(current_setting('request.jwt.claims', true)::jsonb ->> 'sub', '')::uuid $$;

CREATE SCHEMA storage;
GRANT USAGE ON SCHEMA storage TO {postgres}, {anon}, {authenticated}, {service_role};
GRANT ALL ON SCHEMA storage TO {supabase_storage_admin};
CREATE TABLE storage.objects (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), bucket_id text, name text);
ALTER TABLE storage.objects OWNER TO {supabase_storage_admin};
GRANT SELECT, TRIGGER ON storage.objects TO {postgres};

GRANT USAGE ON SCHEMA public TO {postgres}, {anon}, {authenticated}, {service_role};
GRANT CREATE ON SCHEMA public TO {postgres};
ALTER DEFAULT PRIVILEGES FOR ROLE {postgres} IN SCHEMA public
    GRANT ALL ON TABLES TO {anon}, {authenticated}, {service_role};
ALTER DEFAULT PRIVILEGES FOR ROLE {postgres} IN SCHEMA public
    GRANT ALL ON FUNCTIONS TO {anon}, {authenticated}, {service_role};
ALTER DEFAULT PRIVILEGES FOR ROLE {postgres} IN SCHEMA public
    GRANT ALL ON SEQUENCES TO {anon}, {authenticated}, {service_role};

-- PostgREST reloads its schema cache.
CREATE FUNCTION auth.ddl_watch() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE schema_name IS DISTINCT FROM 'pg_temp') THEN
        NOTIFY pgrst, 'reload schema';
    END IF;
END $$;
CREATE EVENT TRIGGER ddl_watch ON ddl_command_end EXECUTE FUNCTION auth.ddl_watch();

-- Supabase's script does this after CREATE EXTENSION pgmq: postgres owns all objects.
DO $$
DECLARE
    statement text;
BEGIN
    IF to_regnamespace('pgmq') IS NULL THEN
        RETURN;
    END IF;
    FOR statement IN
        SELECT format('ALTER TABLE %s OWNER TO {postgres}', oid::regclass) FROM pg_class
        WHERE relnamespace = 'pgmq'::regnamespace AND relkind IN ('r', 'p')
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO {postgres}', oid::regprocedure) FROM pg_proc
        WHERE pronamespace = 'pgmq'::regnamespace
        UNION ALL
        SELECT format('ALTER TYPE %s OWNER TO {postgres}', oid::regtype) FROM pg_type AS type
        WHERE typnamespace = 'pgmq'::regnamespace AND typtype = 'c'
            AND EXISTS (SELECT FROM pg_class WHERE oid = type.typrelid AND relkind = 'c')
        UNION ALL
        SELECT 'ALTER SCHEMA pgmq OWNER TO {postgres}'
    LOOP
        EXECUTE statement;
    END LOOP;
END $$;
