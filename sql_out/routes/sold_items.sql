-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."sold_items_insert_430938cf"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "sold_items"}';
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
        PERFORM pgmq.send('sold_items', jsonb_build_object(
                'id', changelane_id, 'op', 'insert', 'schema', 'shop', 'table', 'order_items',
                'key', jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
                'new', new_row.changelane_row, 'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp()),
            (SELECT pg_notify('changelane_sold_items', '') FROM changelane.sleepers
                WHERE queue = 'sold_items' AND until > clock_timestamp())
        FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent, LATERAL
            (SELECT "order_id", "position", changelane_new AS changelane_row FROM changelane_new) AS new_row
        WHERE (pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR
        SELECT CASE
            WHEN pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                AND changelane.measure(new_row.changelane_row) > pg_size_bytes('16 MB')
            THEN changelane.key_only(
                changelane.new_id(), 'insert', 'shop', 'order_items',
                jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position")
            )
            ELSE jsonb_build_object(
                'id', changelane.new_id(), 'op', 'insert', 'schema', 'shop', 'table', 'order_items',
                'key', jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
                'new', new_row.changelane_row, 'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            )
        END
        FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent, LATERAL
            (SELECT "order_id", "position", changelane_new AS changelane_row FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{sold_items}', changelane_headers);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."sold_items_insert_430938cf"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."sold_items_insert_430938cf"() IS
    'changelane:1 project=shop route=sold_items spec=a6c28ea5830d live=76923f87e30b queues=sold_items';

CREATE OR REPLACE TRIGGER "!sold_items_insert_430938cf"
    AFTER INSERT ON "shop"."order_items" REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."sold_items_insert_430938cf"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!sold_items_insert_430938cf" ON "shop"."order_items" IS
        'changelane:1 project=shop route=sold_items spec=a6c28ea5830d live=eba5ad6bf22a';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;

CREATE OR REPLACE FUNCTION changelane."sold_items_update_430938cf"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "sold_items"}';
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
        PERFORM pgmq.send('sold_items', jsonb_build_object(
                'id', changelane_id, 'op', 'update', 'schema', 'shop', 'table', 'order_items',
                'key', jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
                'new', new_row.changelane_row, 'old', old_row.changelane_row,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp()),
            (SELECT pg_notify('changelane_sold_items', '') FROM changelane.sleepers
                WHERE queue = 'sold_items' AND until > clock_timestamp())
        FROM (
            SELECT side.* FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent,
                LATERAL
                (SELECT "order_id", "position", changelane_old AS changelane_row FROM changelane_old) AS side
        ) AS old_row, (
            SELECT side.* FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent,
                LATERAL
                (SELECT "order_id", "position", changelane_new AS changelane_row FROM changelane_new) AS side
        ) AS new_row
        WHERE CASE
                WHEN pg_column_size(old_row.changelane_row)
                    + pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                THEN false ELSE old_row.changelane_row *<> new_row.changelane_row
            END;
        IF FOUND THEN RETURN NULL; END IF;
        -- The row is not wanted, or large.
        IF NOT EXISTS (
            SELECT FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent, LATERAL (
                SELECT FROM (SELECT "order_id", "position", changelane_old AS changelane_row
                    FROM changelane_old) AS old_row,
                    (SELECT "order_id", "position", changelane_new AS changelane_row
                        FROM changelane_new) AS new_row
                WHERE pg_column_size(old_row.changelane_row)
                    + pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
            ) AS made
        ) THEN RETURN NULL; END IF;
    END IF;
    -- Both sides hold the rows in one order, so their numbers pair them whatever became of their keys.
    OPEN changelane_changes FOR
        SELECT made.message
        FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent, LATERAL (
            SELECT CASE
                WHEN pg_column_size(old_row.changelane_row)
                    + pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                    AND changelane.measure(old_row.changelane_row)
                        + changelane.measure(new_row.changelane_row) > pg_size_bytes('16 MB')
                THEN changelane.key_only(
                    changelane.new_id(), 'update', 'shop', 'order_items',
                    jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
                    jsonb_build_object('order_id', old_row."order_id", 'position', old_row."position")
                )
                ELSE jsonb_build_object(
                    'id', changelane.new_id(), 'op', 'update', 'schema', 'shop', 'table', 'order_items',
                    'key', jsonb_build_object('order_id', new_row."order_id", 'position', new_row."position"),
                    'new', new_row.changelane_row, 'old', old_row.changelane_row,
                    'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
                )
            END AS message
            FROM (SELECT row_number() OVER () AS changelane_number, "order_id", "position",
                changelane_old AS changelane_row FROM changelane_old) AS old_row
            FULL JOIN (SELECT row_number() OVER () AS changelane_number, "order_id", "position",
                changelane_new AS changelane_row FROM changelane_new) AS new_row USING (changelane_number)
            WHERE old_row.changelane_row *<> new_row.changelane_row
        ) AS made;
    PERFORM changelane.send_all(changelane_changes, '{sold_items}', changelane_headers);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."sold_items_update_430938cf"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."sold_items_update_430938cf"() IS
    'changelane:1 project=shop route=sold_items spec=fde644cf28ac live=6f055ae6b460 queues=sold_items';

CREATE OR REPLACE TRIGGER "!sold_items_update_430938cf"
    AFTER UPDATE ON "shop"."order_items" REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."sold_items_update_430938cf"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!sold_items_update_430938cf" ON "shop"."order_items" IS
        'changelane:1 project=shop route=sold_items spec=fde644cf28ac live=6fc1f4ce9afa';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;

CREATE OR REPLACE FUNCTION changelane."sold_items_delete_430938cf"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "sold_items"}';
    changelane_id text;
    changelane_rows integer;
    changelane_changes refcursor;
BEGIN
    -- Is there no row, one, or more?
    PERFORM FROM changelane_old LIMIT 2;
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    changelane_id := changelane.new_id();
    IF current_setting('changelane.traceparent', true) <> '' THEN
        changelane_headers := changelane.add_trace(changelane_headers);
    END IF;

    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('sold_items', jsonb_build_object(
                'id', changelane_id, 'op', 'delete', 'schema', 'shop', 'table', 'order_items',
                'key', jsonb_build_object('order_id', old_row."order_id", 'position', old_row."position"),
                'new', NULL, 'old', old_row.changelane_row,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp()),
            (SELECT pg_notify('changelane_sold_items', '') FROM changelane.sleepers
                WHERE queue = 'sold_items' AND until > clock_timestamp())
        FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent, LATERAL
            (SELECT "order_id", "position", changelane_old AS changelane_row FROM changelane_old) AS old_row
        WHERE (pg_column_size(old_row.changelane_row) > pg_size_bytes('128 kB')) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR
        SELECT CASE
            WHEN pg_column_size(old_row.changelane_row) > pg_size_bytes('128 kB')
                AND changelane.measure(old_row.changelane_row) > pg_size_bytes('16 MB')
            THEN changelane.key_only(
                changelane.new_id(), 'delete', 'shop', 'order_items',
                jsonb_build_object('order_id', old_row."order_id", 'position', old_row."position"),
                jsonb_build_object('order_id', old_row."order_id", 'position', old_row."position")
            )
            ELSE jsonb_build_object(
                'id', changelane.new_id(), 'op', 'delete', 'schema', 'shop', 'table', 'order_items',
                'key', jsonb_build_object('order_id', old_row."order_id", 'position', old_row."position"),
                'new', NULL, 'old', old_row.changelane_row,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            )
        END
        FROM (SELECT NULL::bigint AS "order_id", NULL::integer AS "position") AS absent, LATERAL
            (SELECT "order_id", "position", changelane_old AS changelane_row FROM changelane_old) AS old_row;
    PERFORM changelane.send_all(changelane_changes, '{sold_items}', changelane_headers);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."sold_items_delete_430938cf"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."sold_items_delete_430938cf"() IS
    'changelane:1 project=shop route=sold_items spec=b99acbaa0326 live=0c4b5e1e44fe queues=sold_items';

CREATE OR REPLACE TRIGGER "!sold_items_delete_430938cf"
    AFTER DELETE ON "shop"."order_items" REFERENCING OLD TABLE AS changelane_old
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."sold_items_delete_430938cf"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!sold_items_delete_430938cf" ON "shop"."order_items" IS
        'changelane:1 project=shop route=sold_items spec=b99acbaa0326 live=7b44865d947b';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;
