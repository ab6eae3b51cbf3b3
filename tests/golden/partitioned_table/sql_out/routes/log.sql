-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."log_insert_f8ee3224"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $changelane$ #variable_conflict use_column
BEGIN
    PERFORM pgmq.send('events', changelane.message('insert', 'public', 'log',
        jsonb_build_object('id', new_row."id", 'at', new_row."at"), new_row.changelane_row, NULL),
        changelane.headers('{"route": "log"}'), clock_timestamp())
    FROM (SELECT NULL::integer AS "id", NULL::date AS "at") AS absent, LATERAL
        (SELECT "id", "at", "log_insert_f8ee3224".NEW AS changelane_row
            FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS new_row;
    RETURN NULL;
END $changelane$;
-- The body contains the table's oid, so each session makes new plans after ALTER TABLE, even after a rename.
DO $changelane$
BEGIN
    EXECUTE replace(
        pg_get_functiondef(
            'changelane."log_insert_f8ee3224"()'::regprocedure
        ),
        '''0''::regclass /* this table */',
        replace('''0''::regclass /* this table */', '0', '"public"."log"'::regclass::oid::text)
    );
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."log_insert_f8ee3224"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."log_insert_f8ee3224"() IS
    'changelane:1 project=golden route=log spec=fcef86311924 live=5e9c2cb2c562 queues=events';
CREATE OR REPLACE TRIGGER "!log_insert_f8ee3224" AFTER INSERT ON "public"."log"
    FOR EACH ROW
    EXECUTE FUNCTION changelane."log_insert_f8ee3224"();
CALL changelane.mark_trigger('!log_insert_f8ee3224', '"public"."log"',
    'changelane:1 project=golden route=log spec=fcef86311924 live=32df96931410');

CREATE OR REPLACE FUNCTION changelane."log_update_f8ee3224"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $changelane$ #variable_conflict use_column
BEGIN
    PERFORM pgmq.send('events', changelane.message('update', 'public', 'log',
        jsonb_build_object('id', new_row."id", 'at', new_row."at"), new_row.changelane_row,
        old_row.changelane_row), changelane.headers('{"route": "log"}'), clock_timestamp())
    FROM (SELECT side.* FROM (SELECT NULL::integer AS "id", NULL::date AS "at") AS absent, LATERAL
        (SELECT "id", "at", "log_update_f8ee3224".OLD AS changelane_row
            FROM (SELECT OLD.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS side
    ) AS old_row, (SELECT side.* FROM (SELECT NULL::integer AS "id", NULL::date AS "at") AS absent, LATERAL
        (SELECT "id", "at", "log_update_f8ee3224".NEW AS changelane_row
            FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS side
    ) AS new_row
    WHERE old_row.changelane_row *<> new_row.changelane_row;
    RETURN NULL;
END $changelane$;
-- The body contains the table's oid, so each session makes new plans after ALTER TABLE, even after a rename.
DO $changelane$
BEGIN
    EXECUTE replace(
        pg_get_functiondef(
            'changelane."log_update_f8ee3224"()'::regprocedure
        ),
        '''0''::regclass /* this table */',
        replace('''0''::regclass /* this table */', '0', '"public"."log"'::regclass::oid::text)
    );
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."log_update_f8ee3224"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."log_update_f8ee3224"() IS
    'changelane:1 project=golden route=log spec=ad2fb3fa3403 live=91ff62cfbac1 queues=events';
CREATE OR REPLACE TRIGGER "!log_update_f8ee3224" AFTER UPDATE ON "public"."log"
    FOR EACH ROW
    EXECUTE FUNCTION changelane."log_update_f8ee3224"();
CALL changelane.mark_trigger('!log_update_f8ee3224', '"public"."log"',
    'changelane:1 project=golden route=log spec=ad2fb3fa3403 live=59295c3ad4c5');
