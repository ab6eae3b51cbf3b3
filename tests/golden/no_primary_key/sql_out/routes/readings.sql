-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."readings_insert_0d4d2d95"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET IntervalStyle = 'postgres'
        SET TimeZone = 'UTC' SET bytea_output = 'hex' SET extra_float_digits = 1 SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', changelane.message('insert', 'public', 'readings', NULL,
            new_row.changelane_row, NULL), changelane.headers('{"route": "readings"}'), clock_timestamp())
        FROM (SELECT changelane_new AS changelane_row FROM changelane_new) AS new_row
        WHERE (pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR SELECT CASE WHEN changelane.is_large(new_row.changelane_row)
        THEN changelane.key_only('insert', 'public', 'readings')
        ELSE changelane.message('insert', 'public', 'readings', NULL, new_row.changelane_row, NULL)
    END FROM (SELECT changelane_new AS changelane_row FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane.headers('{"route": "readings"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."readings_insert_0d4d2d95"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."readings_insert_0d4d2d95"() IS
    'changelane:1 project=golden route=readings spec=9e3fde4f2821 live=00e3b2c84175 queues=events';
CREATE OR REPLACE TRIGGER "!readings_insert_0d4d2d95" AFTER INSERT ON "public"."readings"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."readings_insert_0d4d2d95"();
CALL changelane.mark_trigger('!readings_insert_0d4d2d95', '"public"."readings"',
    'changelane:1 project=golden route=readings spec=9e3fde4f2821 live=564653c65353');

CREATE OR REPLACE FUNCTION changelane."readings_update_0d4d2d95"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET IntervalStyle = 'postgres'
        SET TimeZone = 'UTC' SET bytea_output = 'hex' SET extra_float_digits = 1 SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', changelane.message('update', 'public', 'readings', NULL,
            new_row.changelane_row, old_row.changelane_row), changelane.headers('{"route": "readings"}'),
            clock_timestamp())
        FROM (SELECT changelane_old AS changelane_row FROM changelane_old) AS old_row,
            (SELECT changelane_new AS changelane_row FROM changelane_new) AS new_row
        WHERE CASE WHEN pg_column_size(old_row.changelane_row)
            + pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */
                THEN false ELSE old_row.changelane_row *<> new_row.changelane_row END;
        IF FOUND THEN RETURN NULL; END IF;
        PERFORM FROM (
            SELECT changelane_old AS changelane_row FROM changelane_old UNION ALL
            SELECT changelane_new AS changelane_row FROM changelane_new) AS changed
        WHERE pg_column_size(changed.changelane_row) > 65536 /* 64 kB */;
        IF NOT FOUND THEN RETURN NULL; END IF; -- the row is not wanted
    END IF;
    -- Both sides hold the rows in one order, so row numbers pair them, even where a key changed.
    OPEN changelane_changes FOR SELECT CASE WHEN changelane.is_large(old_row.changelane_row,
        new_row.changelane_row)
        THEN changelane.key_only('update', 'public', 'readings')
        ELSE changelane.message('update', 'public', 'readings', NULL, new_row.changelane_row,
            old_row.changelane_row)
    END FROM (SELECT row_number() OVER () AS changelane_number, changelane_old AS changelane_row
        FROM changelane_old) AS old_row
    FULL JOIN (SELECT row_number() OVER () AS changelane_number, changelane_new AS changelane_row
        FROM changelane_new) AS new_row USING (changelane_number)
    WHERE old_row.changelane_row *<> new_row.changelane_row;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane.headers('{"route": "readings"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."readings_update_0d4d2d95"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."readings_update_0d4d2d95"() IS
    'changelane:1 project=golden route=readings spec=7285af8415d7 live=995ccb97393c queues=events';
CREATE OR REPLACE TRIGGER "!readings_update_0d4d2d95" AFTER UPDATE ON "public"."readings"
    REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."readings_update_0d4d2d95"();
CALL changelane.mark_trigger('!readings_update_0d4d2d95', '"public"."readings"',
    'changelane:1 project=golden route=readings spec=7285af8415d7 live=f605fa83f79d');
