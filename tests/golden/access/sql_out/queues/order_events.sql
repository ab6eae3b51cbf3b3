-- Written by `changelane generate`: edit pipelines.yaml, not this file.
SET LOCAL search_path = pg_catalog, pg_temp;

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'order_events') THEN
        PERFORM pgmq.create('order_events');
        -- Rights from default privileges are not declared, so they are revoked.
        DECLARE
            given record;
        BEGIN
            FOR given IN
                WITH tables AS (
                    SELECT relid::oid AS oid
                    FROM unnest(
                        ARRAY['pgmq."q_order_events"', 'pgmq."a_order_events"']::regclass[]
                    ) AS whole, pg_partition_tree(whole)
                    UNION
                    SELECT unnest(
                        ARRAY['pgmq."q_order_events"', 'pgmq."a_order_events"']::regclass[]
                    )
                )
                SELECT DISTINCT class.oid::regclass AS name, class.relkind, acl.grantee
                FROM pg_class AS class, aclexplode(class.relacl) AS acl
                WHERE acl.grantee <> class.relowner AND acl.grantee <> 'pg_monitor'::regrole
                    AND (
                        class.oid IN (SELECT oid FROM tables)
                        OR class.relkind = 'S' AND class.oid IN (
                            SELECT objid FROM pg_depend
                            WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
                                AND refobjid IN (SELECT oid FROM tables)
                        )
                    )
            LOOP
                EXECUTE format(
                    'REVOKE ALL ON %s %s FROM %s',
                    CASE given.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
                    given.name,
                    CASE given.grantee WHEN 0 THEN 'PUBLIC' ELSE given.grantee::regrole::text END
                );
            END LOOP;
        END;
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_order_events',
            'changelane:1 project=golden_access queue=order_events spec=db9ee3bc8cf3 live=950705191495 pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

ALTER TABLE pgmq."q_order_events" SET (autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);

DO $changelane$
BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = 'order_events_dlq') THEN
        PERFORM pgmq.create('order_events_dlq');
        -- Rights from default privileges are not declared, so they are revoked.
        DECLARE
            given record;
        BEGIN
            FOR given IN
                WITH tables AS (
                    SELECT relid::oid AS oid
                    FROM unnest(
                        ARRAY['pgmq."q_order_events_dlq"', 'pgmq."a_order_events_dlq"']::regclass[]
                    ) AS whole, pg_partition_tree(whole)
                    UNION
                    SELECT unnest(
                        ARRAY['pgmq."q_order_events_dlq"', 'pgmq."a_order_events_dlq"']::regclass[]
                    )
                )
                SELECT DISTINCT class.oid::regclass AS name, class.relkind, acl.grantee
                FROM pg_class AS class, aclexplode(class.relacl) AS acl
                WHERE acl.grantee <> class.relowner AND acl.grantee <> 'pg_monitor'::regrole
                    AND (
                        class.oid IN (SELECT oid FROM tables)
                        OR class.relkind = 'S' AND class.oid IN (
                            SELECT objid FROM pg_depend
                            WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
                                AND refobjid IN (SELECT oid FROM tables)
                        )
                    )
            LOOP
                EXECUTE format(
                    'REVOKE ALL ON %s %s FROM %s',
                    CASE given.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
                    given.name,
                    CASE given.grantee WHEN 0 THEN 'PUBLIC' ELSE given.grantee::regrole::text END
                );
            END LOOP;
        END;
        EXECUTE format(
            'COMMENT ON TABLE pgmq.%I IS %L', 'q_order_events_dlq',
            'changelane:1 project=golden_access queue=order_events_dlq spec=7d1525f615f9 live=950705191495 '
            'pg='
                || current_setting('server_version_num')::int / 10000
        );
    END IF;
END
$changelane$;

ALTER TABLE pgmq."q_order_events_dlq" SET (autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000), RESET (autovacuum_enabled);

-- "golden_worker" may send, read, delete.
-- With these settings, literals in the expressions mean the same, and print the same, in every session.
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO, MDY';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = '1';
SET LOCAL quote_all_identifiers = 'off';
DO $changelane$
DECLARE
    grantee CONSTANT oid := (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = 'golden_worker');
    found record;
BEGIN
    FOR found IN
        SELECT class.relname, class.relowner, policy.polname
        FROM pg_catalog.pg_class AS class
        LEFT JOIN pg_catalog.pg_policy AS policy
            ON policy.polrelid = class.oid
            AND (
                policy.polname = ANY (ARRAY['changelane_send_insert_953a0fbe',
                    'changelane_send_insert_bounds_953a0fbe', 'changelane_send_read_delete_select_953a0fbe',
                    'changelane_read_update_953a0fbe', 'changelane_read_update_bounds_953a0fbe',
                    'changelane_delete_delete_953a0fbe']::text[])
                OR policy.polroles = ARRAY[grantee]
                AND starts_with(
                    pg_catalog.obj_description(policy.oid, 'pg_policy'),
                    'changelane:1 project=golden_access access='
                )
            )
        WHERE class.oid IN ('pgmq."q_order_events"'::pg_catalog.regclass,
            'pgmq."a_order_events"'::pg_catalog.regclass)
    LOOP
        IF found.relowner = grantee THEN
            RAISE EXCEPTION 'role % owns pgmq.%, and may do everything with it',
                'golden_worker', found.relname;
        ELSIF found.polname IS NOT NULL THEN
            EXECUTE format('DROP POLICY %I ON pgmq.%I', found.polname, found.relname);
        END IF;
    END LOOP;
END
$changelane$;
ALTER TABLE pgmq."q_order_events" ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
REVOKE ALL ON pgmq."q_order_events" FROM PUBLIC, "golden_worker" CASCADE;
GRANT DELETE, INSERT ("headers", "message", "vt"), SELECT, UPDATE ("headers", "read_ct", "vt")
    ON pgmq."q_order_events" TO "golden_worker";
CREATE POLICY "changelane_send_insert_953a0fbe" ON pgmq."q_order_events"
    FOR INSERT TO "golden_worker"
    WITH CHECK (true);
CREATE POLICY "changelane_send_insert_bounds_953a0fbe" ON pgmq."q_order_events"
    AS RESTRICTIVE FOR INSERT TO "golden_worker"
    WITH CHECK (
        read_ct BETWEEN 0 AND 2000000000
        AND vt BETWEEN now() - interval '200 years' AND now() + interval '200 years'
    );
CREATE POLICY "changelane_send_read_delete_select_953a0fbe" ON pgmq."q_order_events"
    FOR SELECT TO "golden_worker"
    USING (true);
CREATE POLICY "changelane_read_update_953a0fbe" ON pgmq."q_order_events"
    FOR UPDATE TO "golden_worker"
    USING (true);
CREATE POLICY "changelane_read_update_bounds_953a0fbe" ON pgmq."q_order_events"
    AS RESTRICTIVE FOR UPDATE TO "golden_worker"
    WITH CHECK (
        read_ct BETWEEN 0 AND 2000000000
        AND vt BETWEEN now() - interval '200 years' AND now() + interval '200 years'
    );
CREATE POLICY "changelane_delete_delete_953a0fbe" ON pgmq."q_order_events"
    FOR DELETE TO "golden_worker"
    USING (true);
ALTER TABLE pgmq."a_order_events" ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
REVOKE ALL ON pgmq."a_order_events" FROM PUBLIC, "golden_worker" CASCADE;
DO $changelane$
DECLARE
    found record;
BEGIN
    -- Rights on partitions bypass the queue's row security, and a sequence decides the ids. Revoke both.
    FOR found IN
        SELECT relid::pg_catalog.regclass AS part, 'TABLE' AS kind
        FROM unnest(
            ARRAY['pgmq."q_order_events"', 'pgmq."a_order_events"']::pg_catalog.regclass[]
        ) AS whole, pg_partition_tree(whole)
        WHERE relid <> whole
        UNION ALL
        SELECT pg_depend.objid::pg_catalog.regclass, 'SEQUENCE'
        FROM pg_catalog.pg_depend
        JOIN pg_catalog.pg_class ON pg_class.oid = pg_depend.objid AND pg_class.relkind = 'S'
        WHERE pg_depend.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND pg_depend.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND pg_depend.refobjid IN (
                'pgmq."q_order_events"'::pg_catalog.regclass,
                'pgmq."a_order_events"'::pg_catalog.regclass
            )
    LOOP
        EXECUTE format(
            'REVOKE ALL ON %s %s FROM PUBLIC, %I CASCADE', found.kind, found.part, 'golden_worker'
        );
    END LOOP;
    -- Rights that the role already has, for example by PUBLIC, are not granted again.
    IF NOT has_schema_privilege('golden_worker', 'pgmq', 'USAGE') THEN
        GRANT USAGE ON SCHEMA "pgmq" TO "golden_worker";
    END IF;
    IF NOT has_schema_privilege('golden_worker', 'changelane', 'USAGE') THEN
        GRANT USAGE ON SCHEMA "changelane" TO "golden_worker";
    END IF;
    FOR found IN
        SELECT oid::pg_catalog.regprocedure AS signature
        FROM pg_catalog.pg_proc
        WHERE pronamespace = 'pgmq'::pg_catalog.regnamespace
            AND proname = ANY (ARRAY['_send_batch', '_validate_batch_params', 'delete', 'format_table_name',
                'read', 'read_with_poll', 'send', 'send_batch']::text[])
            AND NOT has_function_privilege('golden_worker', oid, 'EXECUTE')
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', found.signature, 'golden_worker');
    END LOOP;
    IF EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = 'pgmq."q_order_events"'::pg_catalog.regclass AND attname = 'last_read_at'
    ) THEN
        GRANT UPDATE ("last_read_at")
            ON pgmq."q_order_events" TO "golden_worker";
    END IF;
    FOR found IN
        SELECT
            policy.polname,
            class.relname,
            left(encode(sha256(convert_to(jsonb_build_array(
                policy.polname, policy.polcmd::text, policy.polpermissive, 0 = ANY (policy.polroles),
                ARRAY(
                    SELECT rolname FROM pg_catalog.pg_roles
                    WHERE oid = ANY (policy.polroles)
                    ORDER BY rolname COLLATE "C"
                ),
                pg_get_expr(policy.polqual, policy.polrelid),
                pg_get_expr(policy.polwithcheck, policy.polrelid)
            )::text, 'UTF8')), 'hex'), 12) AS live
        FROM pg_catalog.pg_policy AS policy
        JOIN pg_catalog.pg_class AS class ON class.oid = policy.polrelid
        WHERE class.relnamespace = 'pgmq'::pg_catalog.regnamespace
            AND class.relname IN ('q_order_events', 'a_order_events')
            AND policy.polname = ANY (ARRAY['changelane_send_insert_953a0fbe',
                'changelane_send_insert_bounds_953a0fbe', 'changelane_send_read_delete_select_953a0fbe',
                'changelane_read_update_953a0fbe', 'changelane_read_update_bounds_953a0fbe',
                'changelane_delete_delete_953a0fbe']::text[])
    LOOP
        EXECUTE format(
            'COMMENT ON POLICY %I ON pgmq.%I IS %L', found.polname, found.relname,
            format(
                'changelane:1 project=golden_access access=order_events spec=016a6617c4dd live=%s pg=',
                found.live
            ) || current_setting('server_version_num')::int / 10000
        );
    END LOOP;
END
$changelane$;

-- "golden_worker" may send.
-- With these settings, literals in the expressions mean the same, and print the same, in every session.
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO, MDY';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = '1';
SET LOCAL quote_all_identifiers = 'off';
DO $changelane$
DECLARE
    grantee CONSTANT oid := (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = 'golden_worker');
    found record;
BEGIN
    FOR found IN
        SELECT class.relname, class.relowner, policy.polname
        FROM pg_catalog.pg_class AS class
        LEFT JOIN pg_catalog.pg_policy AS policy
            ON policy.polrelid = class.oid
            AND (
                policy.polname = ANY (ARRAY['changelane_send_insert_953a0fbe',
                    'changelane_send_insert_bounds_953a0fbe', 'changelane_send_select_953a0fbe']::text[])
                OR policy.polroles = ARRAY[grantee]
                AND starts_with(
                    pg_catalog.obj_description(policy.oid, 'pg_policy'),
                    'changelane:1 project=golden_access access='
                )
            )
        WHERE class.oid IN ('pgmq."q_order_events_dlq"'::pg_catalog.regclass,
            'pgmq."a_order_events_dlq"'::pg_catalog.regclass)
    LOOP
        IF found.relowner = grantee THEN
            RAISE EXCEPTION 'role % owns pgmq.%, and may do everything with it',
                'golden_worker', found.relname;
        ELSIF found.polname IS NOT NULL THEN
            EXECUTE format('DROP POLICY %I ON pgmq.%I', found.polname, found.relname);
        END IF;
    END LOOP;
END
$changelane$;
ALTER TABLE pgmq."q_order_events_dlq" ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
REVOKE ALL ON pgmq."q_order_events_dlq" FROM PUBLIC, "golden_worker" CASCADE;
GRANT INSERT ("headers", "message", "vt"), SELECT ("msg_id")
    ON pgmq."q_order_events_dlq" TO "golden_worker";
CREATE POLICY "changelane_send_insert_953a0fbe" ON pgmq."q_order_events_dlq"
    FOR INSERT TO "golden_worker"
    WITH CHECK (true);
CREATE POLICY "changelane_send_insert_bounds_953a0fbe" ON pgmq."q_order_events_dlq"
    AS RESTRICTIVE FOR INSERT TO "golden_worker"
    WITH CHECK (
        read_ct BETWEEN 0 AND 2000000000
        AND vt BETWEEN now() - interval '200 years' AND now() + interval '200 years'
    );
CREATE POLICY "changelane_send_select_953a0fbe" ON pgmq."q_order_events_dlq"
    FOR SELECT TO "golden_worker"
    USING (enqueued_at = now());
ALTER TABLE pgmq."a_order_events_dlq" ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
REVOKE ALL ON pgmq."a_order_events_dlq" FROM PUBLIC, "golden_worker" CASCADE;
DO $changelane$
DECLARE
    found record;
BEGIN
    -- Rights on partitions bypass the queue's row security, and a sequence decides the ids. Revoke both.
    FOR found IN
        SELECT relid::pg_catalog.regclass AS part, 'TABLE' AS kind
        FROM unnest(
            ARRAY['pgmq."q_order_events_dlq"', 'pgmq."a_order_events_dlq"']::pg_catalog.regclass[]
        ) AS whole, pg_partition_tree(whole)
        WHERE relid <> whole
        UNION ALL
        SELECT pg_depend.objid::pg_catalog.regclass, 'SEQUENCE'
        FROM pg_catalog.pg_depend
        JOIN pg_catalog.pg_class ON pg_class.oid = pg_depend.objid AND pg_class.relkind = 'S'
        WHERE pg_depend.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND pg_depend.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND pg_depend.refobjid IN (
                'pgmq."q_order_events_dlq"'::pg_catalog.regclass,
                'pgmq."a_order_events_dlq"'::pg_catalog.regclass
            )
    LOOP
        EXECUTE format(
            'REVOKE ALL ON %s %s FROM PUBLIC, %I CASCADE', found.kind, found.part, 'golden_worker'
        );
    END LOOP;
    -- Rights that the role already has, for example by PUBLIC, are not granted again.
    IF NOT has_schema_privilege('golden_worker', 'pgmq', 'USAGE') THEN
        GRANT USAGE ON SCHEMA "pgmq" TO "golden_worker";
    END IF;
    FOR found IN
        SELECT oid::pg_catalog.regprocedure AS signature
        FROM pg_catalog.pg_proc
        WHERE pronamespace = 'pgmq'::pg_catalog.regnamespace
            AND proname = ANY (ARRAY['_send_batch', '_validate_batch_params', 'format_table_name', 'send',
                'send_batch']::text[])
            AND NOT has_function_privilege('golden_worker', oid, 'EXECUTE')
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', found.signature, 'golden_worker');
    END LOOP;
    FOR found IN
        SELECT
            policy.polname,
            class.relname,
            left(encode(sha256(convert_to(jsonb_build_array(
                policy.polname, policy.polcmd::text, policy.polpermissive, 0 = ANY (policy.polroles),
                ARRAY(
                    SELECT rolname FROM pg_catalog.pg_roles
                    WHERE oid = ANY (policy.polroles)
                    ORDER BY rolname COLLATE "C"
                ),
                pg_get_expr(policy.polqual, policy.polrelid),
                pg_get_expr(policy.polwithcheck, policy.polrelid)
            )::text, 'UTF8')), 'hex'), 12) AS live
        FROM pg_catalog.pg_policy AS policy
        JOIN pg_catalog.pg_class AS class ON class.oid = policy.polrelid
        WHERE class.relnamespace = 'pgmq'::pg_catalog.regnamespace
            AND class.relname IN ('q_order_events_dlq', 'a_order_events_dlq')
            AND policy.polname = ANY (ARRAY['changelane_send_insert_953a0fbe',
                'changelane_send_insert_bounds_953a0fbe', 'changelane_send_select_953a0fbe']::text[])
    LOOP
        EXECUTE format(
            'COMMENT ON POLICY %I ON pgmq.%I IS %L', found.polname, found.relname,
            format(
                'changelane:1 project=golden_access access=order_events_dlq spec=98a6542d8f17 live=%s pg=',
                found.live
            ) || current_setting('server_version_num')::int / 10000
        );
    END LOOP;
END
$changelane$;

DO $changelane$
DECLARE
    newer boolean := current_setting('server_version_num')::int >= 160000;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'changelane_golden_access_cf8a1a0f') THEN
        CREATE ROLE "changelane_golden_access_cf8a1a0f" NOLOGIN NOINHERIT;
    END IF;
    -- Only a member of the role can make it the owner of a function, and replace that function later.
    IF NOT pg_has_role('changelane_golden_access_cf8a1a0f', 'USAGE')
        OR NOT (CASE WHEN newer THEN pg_has_role('changelane_golden_access_cf8a1a0f', 'SET') ELSE true END)
    THEN
        EXECUTE format('GRANT %I TO %I', 'changelane_golden_access_cf8a1a0f', current_user)
            || CASE WHEN newer THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    RAISE lock_not_available USING MESSAGE = 'the role is made through another database at the same moment';
END
$changelane$;
-- "changelane_golden_access_cf8a1a0f" may read, archive.
-- With these settings, literals in the expressions mean the same, and print the same, in every session.
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO, MDY';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = '1';
SET LOCAL quote_all_identifiers = 'off';
DO $changelane$
DECLARE
    grantee CONSTANT oid := (SELECT oid FROM pg_catalog.pg_roles
        WHERE rolname = 'changelane_golden_access_cf8a1a0f');
    found record;
BEGIN
    FOR found IN
        SELECT class.relname, class.relowner, policy.polname
        FROM pg_catalog.pg_class AS class
        LEFT JOIN pg_catalog.pg_policy AS policy
            ON policy.polrelid = class.oid
            AND (
                policy.polname = ANY (ARRAY['changelane_read_archive_select_7e65e524',
                    'changelane_read_update_7e65e524', 'changelane_read_update_bounds_7e65e524',
                    'changelane_archive_delete_7e65e524', 'changelane_archive_insert_7e65e524',
                    'changelane_archive_insert_bounds_7e65e524',
                    'changelane_archive_select_7e65e524']::text[])
                OR policy.polroles = ARRAY[grantee]
                AND starts_with(
                    pg_catalog.obj_description(policy.oid, 'pg_policy'),
                    'changelane:1 project=golden_access access='
                )
            )
        WHERE class.oid IN ('pgmq."q_order_events"'::pg_catalog.regclass,
            'pgmq."a_order_events"'::pg_catalog.regclass)
    LOOP
        IF found.relowner = grantee THEN
            RAISE EXCEPTION 'role % owns pgmq.%, and may do everything with it',
                'changelane_golden_access_cf8a1a0f', found.relname;
        ELSIF found.polname IS NOT NULL THEN
            EXECUTE format('DROP POLICY %I ON pgmq.%I', found.polname, found.relname);
        END IF;
    END LOOP;
END
$changelane$;
ALTER TABLE pgmq."q_order_events" ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
REVOKE ALL ON pgmq."q_order_events" FROM PUBLIC, "changelane_golden_access_cf8a1a0f" CASCADE;
GRANT DELETE, SELECT, UPDATE ("read_ct", "vt")
    ON pgmq."q_order_events" TO "changelane_golden_access_cf8a1a0f";
CREATE POLICY "changelane_read_archive_select_7e65e524" ON pgmq."q_order_events"
    FOR SELECT TO "changelane_golden_access_cf8a1a0f"
    USING (message->'new'->>'tenant' = current_setting('request.jwt.claims', true)::jsonb->>'tenant');
CREATE POLICY "changelane_read_update_7e65e524" ON pgmq."q_order_events"
    FOR UPDATE TO "changelane_golden_access_cf8a1a0f"
    USING (message->'new'->>'tenant' = current_setting('request.jwt.claims', true)::jsonb->>'tenant');
CREATE POLICY "changelane_read_update_bounds_7e65e524" ON pgmq."q_order_events"
    AS RESTRICTIVE FOR UPDATE TO "changelane_golden_access_cf8a1a0f"
    WITH CHECK (
        read_ct BETWEEN 0 AND 2000000000
        AND vt BETWEEN now() - interval '200 years' AND now() + interval '200 years'
    );
CREATE POLICY "changelane_archive_delete_7e65e524" ON pgmq."q_order_events"
    FOR DELETE TO "changelane_golden_access_cf8a1a0f"
    USING (message->'new'->>'tenant' = current_setting('request.jwt.claims', true)::jsonb->>'tenant');
ALTER TABLE pgmq."a_order_events" ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
REVOKE ALL ON pgmq."a_order_events" FROM PUBLIC, "changelane_golden_access_cf8a1a0f" CASCADE;
GRANT INSERT ("enqueued_at", "headers", "message", "msg_id", "read_ct", "vt"), SELECT ("msg_id")
    ON pgmq."a_order_events" TO "changelane_golden_access_cf8a1a0f";
CREATE POLICY "changelane_archive_insert_7e65e524" ON pgmq."a_order_events"
    FOR INSERT TO "changelane_golden_access_cf8a1a0f"
    WITH CHECK (
        (message->'new'->>'tenant' = current_setting('request.jwt.claims', true)::jsonb->>'tenant')
        AND EXISTS (
            SELECT FROM pgmq."q_order_events" AS held
            WHERE held.msg_id = pgmq."a_order_events".msg_id
                AND held.enqueued_at = pgmq."a_order_events".enqueued_at
                AND held.message IS NOT DISTINCT FROM pgmq."a_order_events".message
                AND (
                    pgmq."a_order_events".headers IS NULL
                    OR CASE jsonb_typeof(held.headers) WHEN 'object' THEN held.headers - 'changelane'
                        ELSE held.headers END
                        = CASE jsonb_typeof(pgmq."a_order_events".headers) WHEN 'object'
                            THEN pgmq."a_order_events".headers - 'changelane'
                            ELSE pgmq."a_order_events".headers END
                )
        )
    );
CREATE POLICY "changelane_archive_insert_bounds_7e65e524" ON pgmq."a_order_events"
    AS RESTRICTIVE FOR INSERT TO "changelane_golden_access_cf8a1a0f"
    WITH CHECK (
        read_ct BETWEEN 0 AND 2000000000
        AND vt BETWEEN now() - interval '200 years' AND now() + interval '200 years'
    );
CREATE POLICY "changelane_archive_select_7e65e524" ON pgmq."a_order_events"
    FOR SELECT TO "changelane_golden_access_cf8a1a0f"
    USING ((message->'new'->>'tenant' = current_setting('request.jwt.claims', true)::jsonb->>'tenant')
        AND archived_at = now());
DO $changelane$
DECLARE
    found record;
BEGIN
    -- Rights on partitions bypass the queue's row security, and a sequence decides the ids. Revoke both.
    FOR found IN
        SELECT relid::pg_catalog.regclass AS part, 'TABLE' AS kind
        FROM unnest(
            ARRAY['pgmq."q_order_events"', 'pgmq."a_order_events"']::pg_catalog.regclass[]
        ) AS whole, pg_partition_tree(whole)
        WHERE relid <> whole
        UNION ALL
        SELECT pg_depend.objid::pg_catalog.regclass, 'SEQUENCE'
        FROM pg_catalog.pg_depend
        JOIN pg_catalog.pg_class ON pg_class.oid = pg_depend.objid AND pg_class.relkind = 'S'
        WHERE pg_depend.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND pg_depend.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND pg_depend.refobjid IN (
                'pgmq."q_order_events"'::pg_catalog.regclass,
                'pgmq."a_order_events"'::pg_catalog.regclass
            )
    LOOP
        EXECUTE format(
            'REVOKE ALL ON %s %s FROM PUBLIC, %I CASCADE', found.kind, found.part,
                'changelane_golden_access_cf8a1a0f'
        );
    END LOOP;
    -- Rights that the role already has, for example by PUBLIC, are not granted again.
    IF NOT has_schema_privilege('changelane_golden_access_cf8a1a0f', 'pgmq', 'USAGE') THEN
        GRANT USAGE ON SCHEMA "pgmq" TO "changelane_golden_access_cf8a1a0f";
    END IF;
    FOR found IN
        SELECT oid::pg_catalog.regprocedure AS signature
        FROM pg_catalog.pg_proc
        WHERE pronamespace = 'pgmq'::pg_catalog.regnamespace
            AND proname = ANY (ARRAY['archive', 'format_table_name', 'read', 'read_with_poll']::text[])
            AND NOT has_function_privilege('changelane_golden_access_cf8a1a0f', oid, 'EXECUTE')
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', found.signature,
            'changelane_golden_access_cf8a1a0f');
    END LOOP;
    IF EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = 'pgmq."q_order_events"'::pg_catalog.regclass AND attname = 'last_read_at'
    ) THEN
        GRANT UPDATE ("last_read_at")
            ON pgmq."q_order_events" TO "changelane_golden_access_cf8a1a0f";
    END IF;
    IF EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = 'pgmq."a_order_events"'::pg_catalog.regclass AND attname = 'last_read_at'
    ) THEN
        GRANT INSERT ("last_read_at")
            ON pgmq."a_order_events" TO "changelane_golden_access_cf8a1a0f";
    END IF;
    FOR found IN
        SELECT
            policy.polname,
            class.relname,
            left(encode(sha256(convert_to(jsonb_build_array(
                policy.polname, policy.polcmd::text, policy.polpermissive, 0 = ANY (policy.polroles),
                ARRAY(
                    SELECT rolname FROM pg_catalog.pg_roles
                    WHERE oid = ANY (policy.polroles)
                    ORDER BY rolname COLLATE "C"
                ),
                pg_get_expr(policy.polqual, policy.polrelid),
                pg_get_expr(policy.polwithcheck, policy.polrelid)
            )::text, 'UTF8')), 'hex'), 12) AS live
        FROM pg_catalog.pg_policy AS policy
        JOIN pg_catalog.pg_class AS class ON class.oid = policy.polrelid
        WHERE class.relnamespace = 'pgmq'::pg_catalog.regnamespace
            AND class.relname IN ('q_order_events', 'a_order_events')
            AND policy.polname = ANY (ARRAY['changelane_read_archive_select_7e65e524',
                'changelane_read_update_7e65e524', 'changelane_read_update_bounds_7e65e524',
                'changelane_archive_delete_7e65e524', 'changelane_archive_insert_7e65e524',
                'changelane_archive_insert_bounds_7e65e524', 'changelane_archive_select_7e65e524']::text[])
    LOOP
        EXECUTE format(
            'COMMENT ON POLICY %I ON pgmq.%I IS %L', found.polname, found.relname,
            format(
                'changelane:1 project=golden_access access=order_events spec=f7401e3e1443 live=%s pg=',
                found.live
            ) || current_setting('server_version_num')::int / 10000
        );
    END LOOP;
END
$changelane$;
-- "golden_client" calls these functions
-- and has no right on the tables. The functions run as the role above, which no session can become. So row
-- security limits them, and the expressions run with that role's rights only.
DO $changelane$
DECLARE
    found record;
BEGIN
    IF pg_catalog.to_regnamespace('changelane_access') IS NULL THEN
        CREATE SCHEMA changelane_access;
    END IF;
    -- Every role may look up names in this schema. Only its owner creates objects in it.
    IF NOT has_schema_privilege('public', 'changelane_access', 'USAGE') THEN
        GRANT USAGE ON SCHEMA changelane_access TO PUBLIC;
    END IF;
    FOR found IN
        SELECT CASE acl.grantee
            WHEN 0 THEN 'PUBLIC'
            ELSE quote_ident(pg_get_userbyid(acl.grantee))
        END AS holder
        FROM pg_catalog.pg_namespace, aclexplode(nspacl) AS acl
        WHERE nspname = 'changelane_access' AND acl.privilege_type = 'CREATE' AND acl.grantee <> nspowner
    LOOP
        EXECUTE format('REVOKE CREATE ON SCHEMA changelane_access FROM %s CASCADE', found.holder);
    END LOOP;
    FOR found IN
        SELECT oid::pg_catalog.regprocedure AS signature
        FROM pg_catalog.pg_proc
        WHERE pronamespace = 'changelane_access'::pg_catalog.regnamespace
            AND (
                proname = ANY (ARRAY['archive_order_events_cf8a1a0', 'lease_order_events_cf8a1a0',
                    'metrics_order_events_cf8a1a0', 'poll_order_events_cf8a1a0',
                    'read_order_events_cf8a1a0']::text[])
                OR pg_get_userbyid(proowner) = 'changelane_golden_access_cf8a1a0f'
                    AND starts_with(
                        obj_description(oid, 'pg_proc'),
                        'changelane:1 project=golden_access access=order_events '
                    )
            )
    LOOP
        EXECUTE format('DROP FUNCTION %s', found.signature);
    END LOOP;
END
$changelane$;
CREATE FUNCTION changelane_access."archive_order_events_cf8a1a0"(
    message_ids bigint[]
)
    RETURNS SETOF bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $changelane$
    SELECT * FROM pgmq.archive('order_events', $1)
$changelane$;
CREATE FUNCTION changelane_access."lease_order_events_cf8a1a0"(
    message_id bigint, read_count integer, sleep_seconds integer
)
    RETURNS SETOF bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $changelane$
    -- Only for the delivery of that number: whoever reads the message later holds it then.
    UPDATE pgmq."q_order_events" SET vt = clock_timestamp() + make_interval(secs => $3)
    WHERE msg_id = $1 AND read_ct = $2
    RETURNING msg_id
$changelane$;
CREATE FUNCTION changelane_access."metrics_order_events_cf8a1a0"()
    RETURNS TABLE (
        queue_length bigint, visible_length bigint, oldest_age_seconds float8, newest_age_seconds float8
    ) LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $changelane$
    SELECT (SELECT count(*) FROM (SELECT FROM pgmq."q_order_events" LIMIT 10000) AS capped),
        (SELECT count(*) FROM (
            SELECT FROM pgmq."q_order_events" WHERE vt <= clock_timestamp() LIMIT 10000
        ) AS capped),
        extract(epoch FROM clock_timestamp() - (
            SELECT enqueued_at FROM pgmq."q_order_events" ORDER BY msg_id LIMIT 1
        ))::float8,
        extract(epoch FROM clock_timestamp() - (
            SELECT enqueued_at FROM pgmq."q_order_events" ORDER BY msg_id DESC LIMIT 1
        ))::float8
$changelane$;
CREATE FUNCTION changelane_access."poll_order_events_cf8a1a0"(
    sleep_seconds integer, n integer, max_poll_seconds integer
)
    RETURNS SETOF pgmq.message_record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $changelane$
    SELECT * FROM pgmq.read_with_poll('order_events', $1, $2, least($3, 30), 100)
$changelane$;
CREATE FUNCTION changelane_access."read_order_events_cf8a1a0"(
    sleep_seconds integer, n integer
)
    RETURNS SETOF pgmq.message_record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $changelane$
    SELECT * FROM pgmq.read('order_events', $1, $2)
$changelane$;
DO $changelane$
DECLARE
    found record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('changelane:schema', 0));
    -- The role has no login, and its only member is the owner of the queue.
    IF (SELECT rolcanlogin FROM pg_catalog.pg_roles WHERE rolname = 'changelane_golden_access_cf8a1a0f') THEN
        ALTER ROLE "changelane_golden_access_cf8a1a0f" NOLOGIN;
    END IF;
    FOR found IN
        SELECT member.rolname AS member
        FROM pg_catalog.pg_auth_members AS held
        JOIN pg_catalog.pg_roles AS role ON role.oid = held.roleid
        JOIN pg_catalog.pg_roles AS member ON member.oid = held.member
        JOIN pg_catalog.pg_class AS class ON class.oid = 'pgmq."q_order_events"'::pg_catalog.regclass
        WHERE role.rolname = 'changelane_golden_access_cf8a1a0f'
            AND NOT pg_has_role(member.oid, class.relowner, 'MEMBER')
    LOOP
        EXECUTE format('REVOKE %I FROM %I', 'changelane_golden_access_cf8a1a0f', found.member);
    END LOOP;
    -- A role can become the owner of a function only in a schema where it may create one.
    GRANT CREATE ON SCHEMA changelane_access TO "changelane_golden_access_cf8a1a0f";
    FOR found IN
        SELECT oid::pg_catalog.regprocedure AS signature,
            (
                SELECT string_agg(DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC'
                    ELSE quote_ident(pg_get_userbyid(grantee)) END, ', ')
                FROM aclexplode(coalesce(proacl, acldefault('f', proowner)))
            ) AS holders
        FROM pg_catalog.pg_proc
        WHERE pronamespace = 'changelane_access'::pg_catalog.regnamespace
            AND proname = ANY (ARRAY['archive_order_events_cf8a1a0', 'lease_order_events_cf8a1a0',
                'metrics_order_events_cf8a1a0', 'poll_order_events_cf8a1a0',
                'read_order_events_cf8a1a0']::text[])
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %s', found.signature, found.holders);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', found.signature, 'golden_client');
        EXECUTE format('ALTER FUNCTION %s OWNER TO %I', found.signature, 'changelane_golden_access_cf8a1a0f');
    END LOOP;
    REVOKE CREATE ON SCHEMA changelane_access FROM "changelane_golden_access_cf8a1a0f";
    FOR found IN
        SELECT
            proc.oid::pg_catalog.regprocedure AS signature,
            left(encode(sha256(convert_to(jsonb_build_array(
                proc.proname, pg_get_function_arguments(proc.oid), pg_get_function_result(proc.oid),
                proc.prosrc, proc.prosecdef, proc.provolatile::text, coalesce(proc.proconfig, '{}'),
                pg_get_userbyid(proc.proowner),
                ARRAY(
                    SELECT CASE grantee WHEN 0 THEN '' ELSE pg_get_userbyid(grantee)::text END
                    FROM aclexplode(coalesce(proc.proacl, acldefault('f', proc.proowner)))
                    ORDER BY 1
                )
            )::text, 'UTF8')), 'hex'), 12) AS live
        FROM pg_catalog.pg_proc AS proc
        WHERE proc.pronamespace = 'changelane_access'::pg_catalog.regnamespace
            AND proc.proname = ANY (ARRAY['archive_order_events_cf8a1a0', 'lease_order_events_cf8a1a0',
                'metrics_order_events_cf8a1a0', 'poll_order_events_cf8a1a0',
                'read_order_events_cf8a1a0']::text[])
    LOOP
        EXECUTE format(
            'COMMENT ON FUNCTION %s IS %L', found.signature,
            format(
                'changelane:1 project=golden_access access=order_events spec=f7401e3e1443 live=%s pg=',
                found.live
            ) || current_setting('server_version_num')::int / 10000
        );
    END LOOP;
END
$changelane$;
