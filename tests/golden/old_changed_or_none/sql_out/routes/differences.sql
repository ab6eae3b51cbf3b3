-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."differences_update_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
        SET extra_float_digits = 1 SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', changelane.message('update', 'public', 'orders',
            jsonb_build_object('id', new_row."id"), new_row.changelane_row, (
                SELECT coalesce(jsonb_object_agg(name, was -> name), '{}')
                FROM (
                    SELECT was, become, jsonb_object_keys(was) AS name
                    FROM (SELECT (to_jsonb(old_row.changelane_row)) AS was,
                        (to_jsonb(new_row.changelane_row)) AS become OFFSET 0) AS rows
                ) AS listed
                WHERE ROW(become -> name)::record *<> ROW(was -> name)::record
            )), changelane.headers('{"route": "differences"}'), clock_timestamp())
        FROM (SELECT side.* FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
            (SELECT "id", changelane_old AS changelane_row FROM changelane_old) AS side
        ) AS old_row, (SELECT side.* FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
            (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS side
        ) AS new_row
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
    OPEN changelane_changes FOR SELECT made.message
        FROM (SELECT NULL::integer AS "id") AS absent, LATERAL (
            SELECT CASE WHEN changelane.is_large(old_row.changelane_row, new_row.changelane_row)
                THEN changelane.key_only('update', 'public', 'orders', jsonb_build_object('id', new_row."id"),
                    jsonb_build_object('id', old_row."id"))
                ELSE changelane.message('update', 'public', 'orders', jsonb_build_object('id', new_row."id"),
                    new_row.changelane_row, (
                    SELECT coalesce(jsonb_object_agg(name, was -> name), '{}')
                    FROM (
                        SELECT was, become, jsonb_object_keys(was) AS name
                        FROM (SELECT (to_jsonb(old_row.changelane_row)) AS was,
                            (to_jsonb(new_row.changelane_row)) AS become OFFSET 0) AS rows
                    ) AS listed
                    WHERE ROW(become -> name)::record *<> ROW(was -> name)::record
                ))
            END AS message FROM (SELECT row_number() OVER () AS changelane_number, "id",
                changelane_old AS changelane_row FROM changelane_old) AS old_row
            FULL JOIN (SELECT row_number() OVER () AS changelane_number, "id",
                changelane_new AS changelane_row FROM changelane_new) AS new_row USING (changelane_number)
            WHERE old_row.changelane_row *<> new_row.changelane_row) AS made;
    PERFORM changelane.send_all(changelane_changes, '{events}',
        changelane.headers('{"route": "differences"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."differences_update_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."differences_update_71eb967f"() IS
    'changelane:1 project=golden route=differences spec=04564bb8070f live=ab013efb762d queues=events';
CREATE OR REPLACE TRIGGER "!differences_update_71eb967f" AFTER UPDATE ON "public"."orders"
    REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."differences_update_71eb967f"();
CALL changelane.mark_trigger('!differences_update_71eb967f', '"public"."orders"',
    'changelane:1 project=golden route=differences spec=04564bb8070f live=e953e63951b9');
