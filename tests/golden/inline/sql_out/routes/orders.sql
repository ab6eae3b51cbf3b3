-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."orders_insert_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
BEGIN
    INSERT INTO pgmq."q_events" (vt, message, headers)
    SELECT clock_timestamp(), CASE WHEN changelane.is_large(new_row.changelane_row)
        THEN changelane.key_only('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"))
        ELSE changelane.message('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"),
            new_row.changelane_row, NULL)
    END, (SELECT changelane.headers('{"route": "orders"}'))
    FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
        (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS new_row;
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_insert_71eb967f"() IS
    'changelane:1 project=golden route=orders spec=2fe57e22b47f live=66bd2a9853ce queues=events';
CREATE OR REPLACE TRIGGER "!orders_insert_71eb967f" AFTER INSERT ON "public"."orders"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."orders_insert_71eb967f"();
CALL changelane.mark_trigger('!orders_insert_71eb967f', '"public"."orders"',
    'changelane:1 project=golden route=orders spec=2fe57e22b47f live=f4bd63d50401');

CREATE OR REPLACE FUNCTION changelane."orders_update_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        INSERT INTO pgmq."q_events" (vt, message, headers)
        SELECT clock_timestamp(), changelane.message('update', 'public', 'orders',
            jsonb_build_object('id', new_row."id"), new_row.changelane_row, old_row.changelane_row),
            changelane.headers('{"route": "orders"}')
        FROM (SELECT side.* FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
            (SELECT "id", changelane_old AS changelane_row FROM changelane_old) AS side
        ) AS old_row, (SELECT side.* FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
            (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS side
        ) AS new_row
        WHERE CASE WHEN pg_column_size(old_row.changelane_row)
            + pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */
                THEN false ELSE old_row.changelane_row *<> new_row.changelane_row END;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        PERFORM FROM (
            SELECT changelane_old AS changelane_row FROM changelane_old UNION ALL
            SELECT changelane_new AS changelane_row FROM changelane_new) AS changed
        WHERE pg_column_size(changed.changelane_row) > 65536 /* 64 kB */;
        IF NOT FOUND THEN RETURN NULL; END IF; -- the row is not wanted
    END IF;
    -- Both sides hold the rows in one order, so row numbers pair them, even where a key changed.
    INSERT INTO pgmq."q_events" (vt, message, headers)
    SELECT clock_timestamp(), made.message, (SELECT changelane.headers('{"route": "orders"}'))
    FROM (SELECT NULL::integer AS "id") AS absent, LATERAL (
        SELECT CASE WHEN changelane.is_large(old_row.changelane_row, new_row.changelane_row)
            THEN changelane.key_only('update', 'public', 'orders', jsonb_build_object('id', new_row."id"),
                jsonb_build_object('id', old_row."id"))
            ELSE changelane.message('update', 'public', 'orders', jsonb_build_object('id', new_row."id"),
                new_row.changelane_row, old_row.changelane_row)
        END AS message FROM (SELECT row_number() OVER () AS changelane_number, "id",
            changelane_old AS changelane_row FROM changelane_old) AS old_row
        FULL JOIN (SELECT row_number() OVER () AS changelane_number, "id", changelane_new AS changelane_row
            FROM changelane_new) AS new_row USING (changelane_number)
        WHERE old_row.changelane_row *<> new_row.changelane_row) AS made;
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."orders_update_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_update_71eb967f"() IS
    'changelane:1 project=golden route=orders spec=11c21470be4a live=7cbc3470a083 queues=events';
CREATE OR REPLACE TRIGGER "!orders_update_71eb967f" AFTER UPDATE ON "public"."orders"
    REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."orders_update_71eb967f"();
CALL changelane.mark_trigger('!orders_update_71eb967f', '"public"."orders"',
    'changelane:1 project=golden route=orders spec=11c21470be4a live=e5813b1d2c73');
