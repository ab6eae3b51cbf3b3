-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."orders_update_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('mails', made.message, changelane.headers('{"route": "orders"}'),
            clock_timestamp()),
            pgmq.send('stock', made.message, changelane.headers('{"route": "orders"}'), clock_timestamp())
        FROM (SELECT NULL::integer AS "id") AS absent, LATERAL (
            SELECT changelane.message('update', 'public', 'orders', jsonb_build_object('id', new_row."id"),
                new_row.changelane_row, old_row.changelane_row) AS message
            FROM (SELECT "id", changelane_old AS changelane_row FROM changelane_old) AS old_row,
                (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS new_row
            WHERE CASE WHEN pg_column_size(old_row.changelane_row)
                + pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */
                    THEN false ELSE old_row.changelane_row *<> new_row.changelane_row END
            OFFSET 0) AS made;
        IF FOUND THEN RETURN NULL; END IF;
        PERFORM FROM (
            SELECT changelane_old AS changelane_row FROM changelane_old UNION ALL
            SELECT changelane_new AS changelane_row FROM changelane_new) AS changed
        WHERE pg_column_size(changed.changelane_row) > 65536 /* 64 kB */;
        IF NOT FOUND THEN RETURN NULL; END IF; -- the row is not wanted
    END IF;
    -- Both sides hold the rows in one order, so row numbers pair them, even where a key changed.
    OPEN changelane_changes FOR SELECT made.message
        FROM (SELECT NULL::integer AS "id") AS absent, LATERAL (
            SELECT CASE WHEN changelane.is_large(old_row.changelane_row, new_row.changelane_row)
                THEN changelane.key_only('update', 'public', 'orders', jsonb_build_object('id', new_row."id"),
                    jsonb_build_object('id', old_row."id"))
                ELSE changelane.message('update', 'public', 'orders', jsonb_build_object('id', new_row."id"),
                    new_row.changelane_row, old_row.changelane_row)
            END AS message FROM (SELECT row_number() OVER () AS changelane_number, "id",
                changelane_old AS changelane_row FROM changelane_old) AS old_row
            FULL JOIN (SELECT row_number() OVER () AS changelane_number, "id",
                changelane_new AS changelane_row FROM changelane_new) AS new_row USING (changelane_number)
            WHERE old_row.changelane_row *<> new_row.changelane_row) AS made;
    PERFORM changelane.send_all(changelane_changes, '{mails,stock}',
        changelane.headers('{"route": "orders"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."orders_update_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_update_71eb967f"() IS
    'changelane:1 project=golden route=orders spec=2d58cddde086 live=14761878cf8b queues=mails,stock';
CREATE OR REPLACE TRIGGER "!orders_update_71eb967f" AFTER UPDATE ON "public"."orders"
    REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."orders_update_71eb967f"();
CALL changelane.mark_trigger('!orders_update_71eb967f', '"public"."orders"',
    'changelane:1 project=golden route=orders spec=2d58cddde086 live=e5813b1d2c73');
