-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."sold_items_insert_430938cf"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('sold_items', changelane.message('insert', 'shop', 'order_items',
            jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
            new_row.changelane_row, NULL), changelane.headers('{"route": "sold_items"}'), clock_timestamp()),
            (SELECT pg_notify('changelane_sold_items', '') FROM changelane.sleepers
                WHERE queue = 'sold_items' AND until > clock_timestamp())
        FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent, LATERAL
            (SELECT "order_id", "position", changelane_new AS changelane_row FROM changelane_new) AS new_row
        WHERE (pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR SELECT CASE WHEN changelane.is_large(new_row.changelane_row)
        THEN changelane.key_only('insert', 'shop', 'order_items',
            jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"))
        ELSE changelane.message('insert', 'shop', 'order_items',
            jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
            new_row.changelane_row, NULL)
    END FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent, LATERAL
        (SELECT "order_id", "position", changelane_new AS changelane_row FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{sold_items}',
        changelane.headers('{"route": "sold_items"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."sold_items_insert_430938cf"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."sold_items_insert_430938cf"() IS
    'changelane:1 project=shop route=sold_items spec=08b12a1adb66 live=2cccf0137ceb queues=sold_items';
CREATE OR REPLACE TRIGGER "!sold_items_insert_430938cf" AFTER INSERT ON "shop"."order_items"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."sold_items_insert_430938cf"();
CALL changelane.mark_trigger('!sold_items_insert_430938cf', '"shop"."order_items"',
    'changelane:1 project=shop route=sold_items spec=08b12a1adb66 live=eba5ad6bf22a');

CREATE OR REPLACE FUNCTION changelane."sold_items_update_430938cf"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('sold_items', changelane.message('update', 'shop', 'order_items',
            jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
            new_row.changelane_row, old_row.changelane_row), changelane.headers('{"route": "sold_items"}'),
            clock_timestamp()),
            (SELECT pg_notify('changelane_sold_items', '') FROM changelane.sleepers
                WHERE queue = 'sold_items' AND until > clock_timestamp())
        FROM (SELECT side.* FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent,
            LATERAL
            (SELECT "order_id", "position", changelane_old AS changelane_row FROM changelane_old) AS side
        ) AS old_row, (SELECT side.* FROM (SELECT NULL::bigint AS "order_id",
            NULL::integer AS "position") AS absent, LATERAL
            (SELECT "order_id", "position", changelane_new AS changelane_row FROM changelane_new) AS side
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
        FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent, LATERAL (
            SELECT CASE WHEN changelane.is_large(old_row.changelane_row, new_row.changelane_row)
                THEN changelane.key_only('update', 'shop', 'order_items',
                    jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
                    jsonb_build_object('order_id', old_row."order_id", 'position', old_row."position"))
                ELSE changelane.message('update', 'shop', 'order_items',
                    jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
                    new_row.changelane_row, old_row.changelane_row)
            END AS message FROM (SELECT row_number() OVER () AS changelane_number, "order_id", "position",
                changelane_old AS changelane_row FROM changelane_old) AS old_row
            FULL JOIN (SELECT row_number() OVER () AS changelane_number, "order_id", "position",
                changelane_new AS changelane_row FROM changelane_new) AS new_row USING (changelane_number)
            WHERE old_row.changelane_row *<> new_row.changelane_row) AS made;
    PERFORM changelane.send_all(changelane_changes, '{sold_items}',
        changelane.headers('{"route": "sold_items"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."sold_items_update_430938cf"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."sold_items_update_430938cf"() IS
    'changelane:1 project=shop route=sold_items spec=5ed5906f9af7 live=ba4cb5982d34 queues=sold_items';
CREATE OR REPLACE TRIGGER "!sold_items_update_430938cf" AFTER UPDATE ON "shop"."order_items"
    REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."sold_items_update_430938cf"();
CALL changelane.mark_trigger('!sold_items_update_430938cf', '"shop"."order_items"',
    'changelane:1 project=shop route=sold_items spec=5ed5906f9af7 live=6fc1f4ce9afa');

CREATE OR REPLACE FUNCTION changelane."sold_items_delete_430938cf"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_old LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('sold_items', changelane.message('delete', 'shop', 'order_items',
            jsonb_build_object('order_id', old_row."order_id", 'position', old_row."position"), NULL::text,
            old_row.changelane_row), changelane.headers('{"route": "sold_items"}'), clock_timestamp()),
            (SELECT pg_notify('changelane_sold_items', '') FROM changelane.sleepers
                WHERE queue = 'sold_items' AND until > clock_timestamp())
        FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent, LATERAL
            (SELECT "order_id", "position", changelane_old AS changelane_row FROM changelane_old) AS old_row
        WHERE (pg_column_size(old_row.changelane_row) > 131072 /* 128 kB */) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR SELECT CASE WHEN changelane.is_large(old_row.changelane_row)
        THEN changelane.key_only('delete', 'shop', 'order_items',
            jsonb_build_object('order_id', old_row."order_id", 'position', old_row."position"),
            jsonb_build_object('order_id', old_row."order_id", 'position', old_row."position"))
        ELSE changelane.message('delete', 'shop', 'order_items',
            jsonb_build_object('order_id', old_row."order_id", 'position', old_row."position"), NULL::text,
            old_row.changelane_row)
    END FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent, LATERAL
        (SELECT "order_id", "position", changelane_old AS changelane_row FROM changelane_old) AS old_row;
    PERFORM changelane.send_all(changelane_changes, '{sold_items}',
        changelane.headers('{"route": "sold_items"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."sold_items_delete_430938cf"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."sold_items_delete_430938cf"() IS
    'changelane:1 project=shop route=sold_items spec=34fa60afe0d4 live=c5f8f5b47fbb queues=sold_items';
CREATE OR REPLACE TRIGGER "!sold_items_delete_430938cf" AFTER DELETE ON "shop"."order_items"
    REFERENCING OLD TABLE AS changelane_old FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."sold_items_delete_430938cf"();
CALL changelane.mark_trigger('!sold_items_delete_430938cf', '"shop"."order_items"',
    'changelane:1 project=shop route=sold_items spec=34fa60afe0d4 live=7b44865d947b');
