-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."animals_insert_f2cbfc48"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "animals"}';
    changelane_id text;
BEGIN
    changelane_id := changelane.new_id();
    IF current_setting('changelane.traceparent', true) <> '' THEN
        changelane_headers := changelane.add_trace(changelane_headers);
    END IF;

    PERFORM pgmq.send('events', jsonb_build_object(
            'id', changelane_id, 'op', 'insert', 'schema', 'public', 'table', 'animals',
            'key', jsonb_build_object('id', new_row."id"),
            'new', new_row.changelane_row, 'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
        ), changelane_headers, clock_timestamp())
    FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
        (SELECT "id", "animals_insert_f2cbfc48".NEW AS changelane_row
            FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS new_row
    WHERE (pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')) IS NOT TRUE;
    IF FOUND THEN RETURN NULL; END IF;
    -- The row is large. A query of its own, for what it may say costs when it is set up.
    PERFORM pgmq.send('events', CASE
            WHEN pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                AND changelane.measure(new_row.changelane_row) > pg_size_bytes('16 MB')
            THEN changelane.key_only(
                changelane_id, 'insert', 'public', 'animals',
                jsonb_build_object('id', new_row."id")
            )
            ELSE jsonb_build_object(
                'id', changelane_id, 'op', 'insert', 'schema', 'public', 'table', 'animals',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row, 'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            )
        END, changelane_headers, clock_timestamp())
    FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
        (SELECT "id", "animals_insert_f2cbfc48".NEW AS changelane_row
            FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS new_row;
    RETURN NULL;
END
$changelane$;
-- The table's number in the body makes each session plan anew after ALTER TABLE, by whatever name.
DO $changelane$
BEGIN
    EXECUTE replace(
        pg_get_functiondef('changelane."animals_insert_f2cbfc48"()'::regprocedure),
        '''0''::regclass /* this table */',
        replace('''0''::regclass /* this table */', '0', '"public"."cats"'::regclass::oid::text)
    );
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."animals_insert_f2cbfc48"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."animals_insert_f2cbfc48"() IS
    'changelane:1 project=golden route=animals spec=9d915f793c2d live=4a8ec9a59435 queues=events';

CREATE OR REPLACE TRIGGER "!animals_insert_f2cbfc48"
    AFTER INSERT ON "public"."cats"
    FOR EACH ROW EXECUTE FUNCTION changelane."animals_insert_f2cbfc48"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!animals_insert_f2cbfc48" ON "public"."cats" IS
        'changelane:1 project=golden route=animals spec=9d915f793c2d live=d742f03af11c';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;
