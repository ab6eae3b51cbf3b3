-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."readings_insert_0d4d2d95"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
        SET bytea_output = 'hex' SET extra_float_digits = 1 SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "readings"}';
    changelane_id text;
    changelane_rows integer;
    changelane_changes refcursor;
BEGIN
    -- Is there no row, one, or more?
    PERFORM FROM changelane_new LIMIT 2;
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    changelane_id := changelane.new_id();
    IF current_setting('changelane.traceparent', true) <> '' THEN
        changelane_headers := changelane.add_trace(changelane_headers);
    END IF;

    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', jsonb_build_object(
                'id', changelane_id, 'op', 'insert', 'schema', 'public', 'table', 'readings',
                'key', NULL,
                'new', new_row.changelane_row, 'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp())
        FROM (SELECT changelane_new AS changelane_row FROM changelane_new) AS new_row
        WHERE (pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR
        SELECT CASE
            WHEN pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                AND changelane.measure(new_row.changelane_row) > pg_size_bytes('16 MB')
            THEN changelane.key_only(
                changelane.new_id(), 'insert', 'public', 'readings'
            )
            ELSE jsonb_build_object(
                'id', changelane.new_id(), 'op', 'insert', 'schema', 'public', 'table', 'readings',
                'key', NULL,
                'new', new_row.changelane_row, 'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            )
        END
        FROM (SELECT changelane_new AS changelane_row FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane_headers);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."readings_insert_0d4d2d95"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."readings_insert_0d4d2d95"() IS
    'changelane:1 project=golden route=readings spec=04b2da202f46 live=f6ed8017f278 queues=events';

CREATE OR REPLACE TRIGGER "!readings_insert_0d4d2d95"
    AFTER INSERT ON "public"."readings" REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."readings_insert_0d4d2d95"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!readings_insert_0d4d2d95" ON "public"."readings" IS
        'changelane:1 project=golden route=readings spec=04b2da202f46 live=564653c65353';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;

CREATE OR REPLACE FUNCTION changelane."readings_update_0d4d2d95"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
        SET bytea_output = 'hex' SET extra_float_digits = 1 SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "readings"}';
    changelane_id text;
    changelane_rows integer;
    changelane_changes refcursor;
BEGIN
    -- Is there no row, one, or more?
    PERFORM FROM changelane_new LIMIT 2;
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    changelane_id := changelane.new_id();
    IF current_setting('changelane.traceparent', true) <> '' THEN
        changelane_headers := changelane.add_trace(changelane_headers);
    END IF;

    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', jsonb_build_object(
                'id', changelane_id, 'op', 'update', 'schema', 'public', 'table', 'readings',
                'key', NULL,
                'new', new_row.changelane_row, 'old', old_row.changelane_row,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp())
        FROM (SELECT changelane_old AS changelane_row FROM changelane_old) AS old_row,
            (SELECT changelane_new AS changelane_row FROM changelane_new) AS new_row
        WHERE CASE
                WHEN pg_column_size(old_row.changelane_row)
                    + pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                THEN false ELSE old_row.changelane_row *<> new_row.changelane_row
            END;
        IF FOUND THEN RETURN NULL; END IF;
        -- The row is not wanted, or large.
        IF NOT EXISTS (
            SELECT FROM (SELECT changelane_old AS changelane_row FROM changelane_old) AS old_row,
                (SELECT changelane_new AS changelane_row FROM changelane_new) AS new_row
            WHERE pg_column_size(old_row.changelane_row)
                + pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
        ) THEN RETURN NULL; END IF;
    END IF;
    -- Both sides hold the rows in one order, so their numbers pair them whatever became of their keys.
    OPEN changelane_changes FOR
        SELECT CASE
            WHEN pg_column_size(old_row.changelane_row)
                + pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                AND changelane.measure(old_row.changelane_row)
                    + changelane.measure(new_row.changelane_row) > pg_size_bytes('16 MB')
            THEN changelane.key_only(
                changelane.new_id(), 'update', 'public', 'readings'
            )
            ELSE jsonb_build_object(
                'id', changelane.new_id(), 'op', 'update', 'schema', 'public', 'table', 'readings',
                'key', NULL,
                'new', new_row.changelane_row, 'old', old_row.changelane_row,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            )
        END
        FROM (SELECT row_number() OVER () AS changelane_number, changelane_old AS changelane_row
            FROM changelane_old) AS old_row
        FULL JOIN (SELECT row_number() OVER () AS changelane_number, changelane_new AS changelane_row
            FROM changelane_new) AS new_row USING (changelane_number)
        WHERE old_row.changelane_row *<> new_row.changelane_row;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane_headers);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."readings_update_0d4d2d95"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."readings_update_0d4d2d95"() IS
    'changelane:1 project=golden route=readings spec=64bf24648e71 live=9e4681474da0 queues=events';

CREATE OR REPLACE TRIGGER "!readings_update_0d4d2d95"
    AFTER UPDATE ON "public"."readings" REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."readings_update_0d4d2d95"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!readings_update_0d4d2d95" ON "public"."readings" IS
        'changelane:1 project=golden route=readings spec=64bf24648e71 live=f605fa83f79d';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;
