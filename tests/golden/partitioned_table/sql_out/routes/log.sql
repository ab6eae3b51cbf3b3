-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."log_insert_f8ee3224"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "log"}';
    changelane_id text;
BEGIN
    changelane_id := changelane.new_id();
    IF current_setting('changelane.traceparent', true) <> '' THEN
        changelane_headers := changelane.add_trace(changelane_headers);
    END IF;

    PERFORM pgmq.send('events', jsonb_build_object(
            'id', changelane_id, 'op', 'insert', 'schema', 'public', 'table', 'log',
            'key', jsonb_build_object('id', new_row."id", 'at', new_row."at"),
            'new', new_row.changelane_row, 'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
        ), changelane_headers, clock_timestamp())
    FROM (SELECT NULL::integer AS "id", NULL::date AS "at") AS absent, LATERAL
        (SELECT "id", "at", "log_insert_f8ee3224".NEW AS changelane_row
            FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS new_row;
    RETURN NULL;
END
$changelane$;
-- The table's number in the body makes each session plan anew after ALTER TABLE, by whatever name.
DO $changelane$
BEGIN
    EXECUTE replace(
        pg_get_functiondef('changelane."log_insert_f8ee3224"()'::regprocedure),
        '''0''::regclass /* this table */',
        replace('''0''::regclass /* this table */', '0', '"public"."log"'::regclass::oid::text)
    );
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."log_insert_f8ee3224"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."log_insert_f8ee3224"() IS
    'changelane:1 project=golden route=log spec=545241036b35 live=be0fd07f0d5c queues=events';

CREATE OR REPLACE TRIGGER "!log_insert_f8ee3224"
    AFTER INSERT ON "public"."log"
    FOR EACH ROW EXECUTE FUNCTION changelane."log_insert_f8ee3224"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!log_insert_f8ee3224" ON "public"."log" IS
        'changelane:1 project=golden route=log spec=545241036b35 live=32df96931410';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;

CREATE OR REPLACE FUNCTION changelane."log_update_f8ee3224"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "log"}';
    changelane_id text;
BEGIN
    changelane_id := changelane.new_id();
    IF current_setting('changelane.traceparent', true) <> '' THEN
        changelane_headers := changelane.add_trace(changelane_headers);
    END IF;

    PERFORM pgmq.send('events', jsonb_build_object(
            'id', changelane_id, 'op', 'update', 'schema', 'public', 'table', 'log',
            'key', jsonb_build_object('id', new_row."id", 'at', new_row."at"),
            'new', new_row.changelane_row, 'old', old_row.changelane_row,
            'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
        ), changelane_headers, clock_timestamp())
    FROM (
        SELECT side.* FROM (SELECT NULL::integer AS "id", NULL::date AS "at") AS absent, LATERAL
            (SELECT "id", "at", "log_update_f8ee3224".OLD AS changelane_row
                FROM (SELECT OLD.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS side
    ) AS old_row, (
        SELECT side.* FROM (SELECT NULL::integer AS "id", NULL::date AS "at") AS absent, LATERAL
            (SELECT "id", "at", "log_update_f8ee3224".NEW AS changelane_row
                FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS side
    ) AS new_row
    WHERE old_row.changelane_row *<> new_row.changelane_row;
    RETURN NULL;
END
$changelane$;
-- The table's number in the body makes each session plan anew after ALTER TABLE, by whatever name.
DO $changelane$
BEGIN
    EXECUTE replace(
        pg_get_functiondef('changelane."log_update_f8ee3224"()'::regprocedure),
        '''0''::regclass /* this table */',
        replace('''0''::regclass /* this table */', '0', '"public"."log"'::regclass::oid::text)
    );
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."log_update_f8ee3224"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."log_update_f8ee3224"() IS
    'changelane:1 project=golden route=log spec=d4d794e89b9a live=1021c8665f2d queues=events';

CREATE OR REPLACE TRIGGER "!log_update_f8ee3224"
    AFTER UPDATE ON "public"."log"
    FOR EACH ROW EXECUTE FUNCTION changelane."log_update_f8ee3224"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!log_update_f8ee3224" ON "public"."log" IS
        'changelane:1 project=golden route=log spec=d4d794e89b9a live=59295c3ad4c5';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;
