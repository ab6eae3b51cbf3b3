-- Written by `changelane generate`: edit pipelines.yaml, not this file.

-- The capture functions belong to "golden_capture".
-- Code that runs in them, such as a cast of a column's type, has only this role's rights: to send to the
-- queues below.
DO $changelane$
DECLARE
    newer boolean := current_setting('server_version_num')::int >= 160000;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'golden_capture') THEN
        CREATE ROLE "golden_capture" NOLOGIN NOINHERIT;
    END IF;
    -- Only a member of the role can make it the owner of a function, and replace that function later.
    IF NOT pg_has_role('golden_capture', 'USAGE')
        OR NOT (CASE WHEN newer THEN pg_has_role('golden_capture', 'SET') ELSE true END)
    THEN
        EXECUTE format('GRANT %I TO %I', 'golden_capture', current_user)
            || CASE WHEN newer THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    RAISE lock_not_available USING MESSAGE = 'the role is made through another database at the same moment';
END
$changelane$;
DO $changelane$
DECLARE
    missing text;
BEGIN
    -- Rights that the role already has, for example by PUBLIC, are not granted again.
    FOR missing IN
        WITH called (schema, name) AS (
            VALUES
                ('changelane', 'add_trace'),
                ('changelane', 'digest'),
                ('changelane', 'headers'),
                ('changelane', 'is_large'),
                ('changelane', 'key_only'),
                ('changelane', 'measure'),
                ('changelane', 'message'),
                ('changelane', 'new_id'),
                ('changelane', 'send_all'),
                ('changelane', 'weigh'),
                ('pgmq', '_send_batch'),
                ('pgmq', '_validate_batch_params'),
                ('pgmq', 'format_table_name'),
                ('pgmq', 'send'),
                ('pgmq', 'send_batch'),
                ('rules', 'wanted')
        ), used (schema, name, privilege, columns) AS (
            VALUES
                ('pgmq', 'q_order_events', 'INSERT', '{vt,message,headers}'::text[]),
                ('pgmq', 'q_order_events', 'SELECT', '{msg_id}'),
                -- With pgmq.enable_notify_insert, senders write this table.
                ('pgmq', 'notify_insert_throttle', 'UPDATE', '{last_notified_at}'::text[]),
                ('pgmq', 'notify_insert_throttle', 'SELECT',
                 '{queue_name,throttle_interval_ms,last_notified_at}'),
                ('changelane', 'sleepers', 'SELECT', '{queue,until}')
        )
        SELECT format('USAGE ON SCHEMA %I', nspname) FROM pg_namespace
        WHERE nspname = ANY (ARRAY['pgmq', 'changelane', 'rules']::text[])
            AND NOT has_schema_privilege('golden_capture', oid, 'USAGE')
        UNION ALL
        SELECT format('EXECUTE ON FUNCTION %s', proc.oid::regprocedure)
        FROM pg_proc AS proc
        WHERE proc.prokind = 'f'
            AND NOT has_function_privilege('golden_capture', proc.oid, 'EXECUTE')
            AND proc.oid IN (
                SELECT function.oid FROM called
                JOIN pg_namespace AS home ON home.nspname = called.schema
                JOIN pg_proc AS function
                    ON function.pronamespace = home.oid AND function.proname = called.name
                UNION ALL
                SELECT operator.oprcode FROM called
                JOIN pg_namespace AS home ON home.nspname = called.schema
                JOIN pg_operator AS operator
                    ON operator.oprnamespace = home.oid AND operator.oprname = called.name
            )
        UNION ALL
        SELECT format('USAGE ON SEQUENCE %s', class.oid::regclass)
        FROM called
        JOIN pg_namespace AS home ON home.nspname = called.schema
        JOIN pg_class AS class ON class.relnamespace = home.oid AND class.relname = called.name
        WHERE CASE class.relkind
            WHEN 'S' THEN NOT has_sequence_privilege('golden_capture', class.oid, 'USAGE')
        END
        UNION ALL
        SELECT format(
            '%s (%s) ON %s', used.privilege, string_agg(quote_ident(attname), ', '), class.oid::regclass
        )
        FROM used
        JOIN pg_namespace AS home ON home.nspname = used.schema
        JOIN pg_class AS class ON class.relnamespace = home.oid AND class.relname = used.name
        JOIN pg_attribute AS attribute ON attrelid = class.oid AND attname = ANY (used.columns)
        WHERE NOT has_column_privilege('golden_capture', class.oid, attnum, used.privilege)
            AND (used.name <> 'notify_insert_throttle' OR pg_has_role(class.relowner, 'USAGE'))
        GROUP BY used.privilege, class.oid
    LOOP
        EXECUTE format('GRANT %s TO %I', missing, 'golden_capture');
    END LOOP;
END
$changelane$;
