-- Written by `changelane generate`: edit pipelines.yaml, not this file.

DO $changelane$
BEGIN
    IF to_regnamespace('pgmq_public') IS NULL THEN
        CREATE SCHEMA pgmq_public;
    END IF;
END
$changelane$;
REVOKE ALL ON SCHEMA pgmq_public FROM PUBLIC;

CREATE OR REPLACE FUNCTION pgmq_public.send(queue_name text, message jsonb, sleep_seconds integer DEFAULT 0)
    RETURNS SETOF bigint LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('send_' || lower($1) || '_0')::name
        AND proc.proname < ('send_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 13
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I($1, $2, $3)', own)
            USING ARRAY[$2], NULL::jsonb[], $3;
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM pgmq.send($1, $2, $3);
END
$function$;

CREATE OR REPLACE FUNCTION pgmq_public.send_batch(
    queue_name text, messages jsonb[], sleep_seconds integer DEFAULT 0
)
    RETURNS SETOF bigint LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('send_' || lower($1) || '_0')::name
        AND proc.proname < ('send_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 13
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I($1, $2, $3)', own)
            USING $2, NULL::jsonb[], $3;
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM pgmq.send_batch($1, $2, $3);
END
$function$;

CREATE OR REPLACE FUNCTION pgmq_public.read(queue_name text, sleep_seconds integer, n integer)
    RETURNS SETOF pgmq.message_record LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('read_' || lower($1) || '_0')::name
        AND proc.proname < ('read_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 13
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I($1, $2)', own)
            USING $2, $3;
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM pgmq.read($1, $2, $3);
END
$function$;

CREATE OR REPLACE FUNCTION pgmq_public.pop(queue_name text)
    RETURNS SETOF pgmq.message_record LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('pop_' || lower($1) || '_0')::name
        AND proc.proname < ('pop_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 12
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I()', own);
        RETURN;
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_class AS class
        WHERE class.oid = format('pgmq.%I', pgmq.format_table_name($1, 'q'))::pg_catalog.regclass
            AND (
                pg_catalog.pg_has_role(class.relowner, 'USAGE')
                OR EXISTS (
                    SELECT FROM pg_catalog.pg_policy AS policy, unnest(policy.polroles) AS role
                    WHERE policy.polrelid = class.oid
                        AND policy.polname ~ '^changelane_([a-z]+_)*pop_([a-z]+_)*delete_[0-9a-f]{8}$'
                        AND pg_catalog.pg_has_role(role, 'USAGE')
                )
            )
    ) THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied to pop from queue %I', $1);
    END IF;
    RETURN QUERY SELECT * FROM pgmq.pop($1);
END
$function$;

CREATE OR REPLACE FUNCTION pgmq_public.archive(queue_name text, message_id bigint)
    RETURNS boolean LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
    done boolean;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('archive_' || lower($1) || '_0')::name
        AND proc.proname < ('archive_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 16
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        EXECUTE format('SELECT count(*) > 0 FROM changelane_access.%I($1)', own)
            INTO done USING ARRAY[$2];
        RETURN done;
    END IF;
    RETURN pgmq.archive($1, $2);
END
$function$;

CREATE OR REPLACE FUNCTION pgmq_public.delete(queue_name text, message_id bigint)
    RETURNS boolean LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
    done boolean;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('delete_' || lower($1) || '_0')::name
        AND proc.proname < ('delete_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 15
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        EXECUTE format('SELECT count(*) > 0 FROM changelane_access.%I($1)', own)
            INTO done USING ARRAY[$2];
        RETURN done;
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_class AS class
        WHERE class.oid = format('pgmq.%I', pgmq.format_table_name($1, 'q'))::pg_catalog.regclass
            AND (
                pg_catalog.pg_has_role(class.relowner, 'USAGE')
                OR EXISTS (
                    SELECT FROM pg_catalog.pg_policy AS policy, unnest(policy.polroles) AS role
                    WHERE policy.polrelid = class.oid
                        AND policy.polname ~ '^changelane_([a-z]+_)*delete_([a-z]+_)*delete_[0-9a-f]{8}$'
                        AND pg_catalog.pg_has_role(role, 'USAGE')
                )
            )
    ) THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied to delete from queue %I', $1);
    END IF;
    RETURN pgmq.delete($1, $2);
END
$function$;

-- The functions from here on are not in Supabase's schema.
CREATE OR REPLACE FUNCTION pgmq_public.send_with_headers(
    queue_name text, message jsonb, headers jsonb, sleep_seconds integer DEFAULT 0
)
    RETURNS SETOF bigint LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    -- These headers identify captured changes. Policies refuse them, too, but some roles bypass policies.
    IF $3 ?| ARRAY['route', 'changelane', 'dead_letter']::text[] THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'headers route, changelane, dead_letter are written by Changelane alone';
    END IF;
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('send_' || lower($1) || '_0')::name
        AND proc.proname < ('send_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 13
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I($1, $2, $3)', own)
            USING ARRAY[$2], ARRAY[$3], $4;
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM pgmq.send($1, $2, $3, $4);
END
$function$;

-- It waits at most 30 seconds, because its snapshot keeps vacuum from removing dead rows.
CREATE OR REPLACE FUNCTION pgmq_public.read_with_poll(
    queue_name text, sleep_seconds integer, n integer, max_poll_seconds integer DEFAULT 5
)
    RETURNS SETOF pgmq.message_record LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('poll_' || lower($1) || '_0')::name
        AND proc.proname < ('poll_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 13
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I($1, $2, $3)', own)
            USING $2, $3, $4;
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM pgmq.read_with_poll($1, $2, $3, least($4, 30), 100);
END
$function$;

-- Applies to the delivery with that number only. After a later read, the message belongs to that reader.
CREATE OR REPLACE FUNCTION pgmq_public.set_visibility(
    queue_name text, message_id bigint, read_count integer, sleep_seconds integer
)
    RETURNS boolean LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
    done boolean;
    changed bigint;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('lease_' || lower($1) || '_0')::name
        AND proc.proname < ('lease_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 14
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        EXECUTE format('SELECT count(*) > 0 FROM changelane_access.%I($1, $2, $3)', own)
            INTO done USING $2, $3, $4;
        RETURN done;
    END IF;
    EXECUTE format(
        'UPDATE pgmq.%I SET vt = clock_timestamp() + make_interval(secs => $3)
        WHERE msg_id = $1 AND read_ct = $2',
        pgmq.format_table_name($1, 'q')
    ) USING $2, $3, $4;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed > 0;
END
$function$;

CREATE OR REPLACE FUNCTION pgmq_public.archive_batch(queue_name text, message_ids bigint[])
    RETURNS SETOF bigint LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('archive_' || lower($1) || '_0')::name
        AND proc.proname < ('archive_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 16
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I($1)', own)
            USING $2;
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM pgmq.archive($1, $2);
END
$function$;

CREATE OR REPLACE FUNCTION pgmq_public.delete_batch(queue_name text, message_ids bigint[])
    RETURNS SETOF bigint LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('delete_' || lower($1) || '_0')::name
        AND proc.proname < ('delete_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 15
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I($1)', own)
            USING $2;
        RETURN;
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_class AS class
        WHERE class.oid = format('pgmq.%I', pgmq.format_table_name($1, 'q'))::pg_catalog.regclass
            AND (
                pg_catalog.pg_has_role(class.relowner, 'USAGE')
                OR EXISTS (
                    SELECT FROM pg_catalog.pg_policy AS policy, unnest(policy.polroles) AS role
                    WHERE policy.polrelid = class.oid
                        AND policy.polname ~ '^changelane_([a-z]+_)*delete_([a-z]+_)*delete_[0-9a-f]{8}$'
                        AND pg_catalog.pg_has_role(role, 'USAGE')
                )
            )
    ) THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied to delete from queue %I', $1);
    END IF;
    RETURN QUERY SELECT * FROM pgmq.delete($1, $2);
END
$function$;

-- Counts the messages that the caller may see, up to 10,000.
CREATE OR REPLACE FUNCTION pgmq_public.metrics(queue_name text)
    RETURNS TABLE (
        queue_length bigint, visible_length bigint, oldest_age_seconds float8, newest_age_seconds float8
    )
    LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = ''
AS $function$
DECLARE
    own name;
BEGIN
    SELECT proc.proname INTO own
    FROM pg_catalog.pg_proc AS proc, pg_catalog.pg_roles AS caller
    WHERE caller.rolname = current_user AND NOT caller.rolsuper
        AND proc.pronamespace = (
            SELECT home.oid FROM pg_catalog.pg_namespace AS home, pg_catalog.pg_namespace AS api
            WHERE home.nspname = 'changelane_access' AND api.nspname = 'pgmq_public'
                AND pg_catalog.pg_has_role(home.nspowner, api.nspowner, 'MEMBER')
        )
        AND proc.proname >= ('metrics_' || lower($1) || '_0')::name
        AND proc.proname < ('metrics_' || lower($1) || '_g')::name
        AND octet_length(proc.proname::text) = octet_length($1) + 16
        AND has_function_privilege(proc.oid, 'EXECUTE')
    LIMIT 1;
    IF own IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT * FROM changelane_access.%I()', own);
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT (SELECT count(*) FROM (SELECT FROM pgmq.%1$I LIMIT 10000) AS capped),
            (SELECT count(*)
                FROM (SELECT FROM pgmq.%1$I WHERE vt <= clock_timestamp() LIMIT 10000) AS capped),
            extract(epoch FROM clock_timestamp()
                - (SELECT enqueued_at FROM pgmq.%1$I ORDER BY msg_id LIMIT 1))::float8,
            extract(epoch FROM clock_timestamp()
                - (SELECT enqueued_at FROM pgmq.%1$I ORDER BY msg_id DESC LIMIT 1))::float8',
        pgmq.format_table_name($1, 'q')
    );
END
$function$;

DO $changelane$
BEGIN
    EXECUTE format(
        'COMMENT ON SCHEMA pgmq_public IS %L',
        format(
            'changelane:1 project=golden_access api=pgmq_public spec=6aabe105751c live=%s pg=',
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
        ) || current_setting('server_version_num')::int / 10000
    );
END
$changelane$;

-- EXECUTE for the roles named here only. Roles with access by another project of this database keep theirs.
DO $changelane$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT DISTINCT acl.grantee
        FROM (
            SELECT coalesce(nspacl, acldefault('n', nspowner)) AS entries, nspowner AS owner
            FROM pg_catalog.pg_namespace WHERE nspname = 'pgmq_public'
            UNION ALL
            SELECT coalesce(proacl, acldefault('f', proowner)), proowner
            FROM pg_catalog.pg_proc
            WHERE pronamespace = to_regnamespace('pgmq_public')
                AND proname = ANY (ARRAY['archive', 'archive_batch', 'delete', 'delete_batch', 'metrics',
                    'pop', 'read', 'read_with_poll', 'send', 'send_batch', 'send_with_headers',
                    'set_visibility']::text[])
        ) AS place, aclexplode(place.entries) AS acl
        WHERE acl.grantee <> place.owner
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_policy AS policy
                WHERE acl.grantee = ANY (policy.polroles)
                    AND pg_catalog.obj_description(policy.oid, 'pg_policy')
                        ~ '^changelane:1 project=\S+ access='
                    AND NOT starts_with(
                        pg_catalog.obj_description(policy.oid, 'pg_policy'),
                        'changelane:1 project=golden_access access='
                    )
            )
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_proc AS proc, aclexplode(proc.proacl) AS held
                WHERE proc.pronamespace = to_regnamespace('changelane_access') AND held.grantee = acl.grantee
                    AND pg_catalog.obj_description(proc.oid, 'pg_proc')
                        ~ '^changelane:1 project=\S+ access='
                    AND NOT starts_with(
                        pg_catalog.obj_description(proc.oid, 'pg_proc'),
                        'changelane:1 project=golden_access access='
                    )
            )
    LOOP
        EXECUTE format(
            'REVOKE ALL ON SCHEMA pgmq_public FROM %1$s;
            REVOKE ALL ON FUNCTION
                pgmq_public."archive",
                pgmq_public."archive_batch",
                pgmq_public."delete",
                pgmq_public."delete_batch",
                pgmq_public."metrics",
                pgmq_public."pop",
                pgmq_public."read",
                pgmq_public."read_with_poll",
                pgmq_public."send",
                pgmq_public."send_batch",
                pgmq_public."send_with_headers",
                pgmq_public."set_visibility"
            FROM %1$s',
            CASE found.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(found.grantee)) END
        );
    END LOOP;
END
$changelane$;
GRANT USAGE ON SCHEMA pgmq_public TO "golden_client";
GRANT EXECUTE ON FUNCTION pgmq_public."archive", pgmq_public."archive_batch", pgmq_public."metrics",
    pgmq_public."read", pgmq_public."read_with_poll", pgmq_public."set_visibility"
    TO "golden_client";
GRANT USAGE ON SCHEMA pgmq_public TO "golden_worker";
GRANT EXECUTE ON FUNCTION pgmq_public."delete", pgmq_public."delete_batch", pgmq_public."metrics",
    pgmq_public."read", pgmq_public."read_with_poll", pgmq_public."send", pgmq_public."send_batch",
    pgmq_public."send_with_headers", pgmq_public."set_visibility"
    TO "golden_worker";
