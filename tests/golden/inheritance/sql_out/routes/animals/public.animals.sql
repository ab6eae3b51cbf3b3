-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."animals_insert_89feaa0a"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $changelane$ #variable_conflict use_column
BEGIN
    PERFORM pgmq.send('events', changelane.message('insert', 'public', 'animals',
        jsonb_build_object('id', new_row."id"), new_row.changelane_row, NULL),
        changelane.headers('{"route": "animals"}'), clock_timestamp())
    FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
        (SELECT "id", "animals_insert_89feaa0a".NEW AS changelane_row
            FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS new_row
    WHERE (pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */) IS NOT TRUE;
    IF FOUND THEN RETURN NULL; END IF;
    -- The row is large. This is a separate query, because a long query is slow to set up.
    PERFORM pgmq.send('events', CASE WHEN changelane.is_large(new_row.changelane_row)
            THEN changelane.key_only('insert', 'public', 'animals', jsonb_build_object('id', new_row."id"))
            ELSE changelane.message('insert', 'public', 'animals', jsonb_build_object('id', new_row."id"),
                new_row.changelane_row, NULL)
        END, changelane.headers('{"route": "animals"}'), clock_timestamp())
    FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
        (SELECT "id", "animals_insert_89feaa0a".NEW AS changelane_row
            FROM (SELECT NEW.*
            WHERE '0'::regclass /* this table */ IS NOT NULL OFFSET 0) AS source) AS new_row;
    RETURN NULL;
END $changelane$;
-- The body contains the table's oid, so each session makes new plans after ALTER TABLE, even after a rename.
DO $changelane$
BEGIN
    EXECUTE replace(
        pg_get_functiondef(
            'changelane."animals_insert_89feaa0a"()'::regprocedure
        ),
        '''0''::regclass /* this table */',
        replace('''0''::regclass /* this table */', '0', '"public"."animals"'::regclass::oid::text)
    );
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."animals_insert_89feaa0a"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."animals_insert_89feaa0a"() IS
    'changelane:1 project=golden route=animals spec=8b1636434671 live=d32e26ec6302 queues=events';
CREATE OR REPLACE TRIGGER "!animals_insert_89feaa0a" AFTER INSERT ON "public"."animals"
    FOR EACH ROW
    EXECUTE FUNCTION changelane."animals_insert_89feaa0a"();
CALL changelane.mark_trigger('!animals_insert_89feaa0a', '"public"."animals"',
    'changelane:1 project=golden route=animals spec=8b1636434671 live=65c83b5f30e9');
