-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."paid_orders_insert_3d209b31"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    -- Most statements change no wanted row. This cheap query finds that out first.
    PERFORM FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status",
        NULL::numeric(12,2) AS "total") AS absent, LATERAL
        (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row
            FROM changelane_new) AS new_row
    WHERE (new_row."status" = 'paid') IS TRUE
    LIMIT 2;
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('paid_orders',
            changelane.message('insert', 'shop', 'orders', jsonb_build_object('id', new_row."id"),
            (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id", 'status',
            new_row."status", 'total', new_row."total")), NULL),
            changelane.headers('{"route": "paid_orders"}'), clock_timestamp()),
            (SELECT pg_notify('changelane_paid_orders', '') FROM changelane.sleepers
                WHERE queue = 'paid_orders' AND until > clock_timestamp())
        FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status",
            NULL::numeric(12,2) AS "total") AS absent, LATERAL
            (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row
                FROM changelane_new) AS new_row
        WHERE CASE WHEN pg_column_size(new_row."status") > 131072 /* 128 kB */
                THEN false ELSE (new_row."status" = 'paid') IS TRUE END;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR SELECT CASE WHEN pg_column_size(new_row."status") > 131072 /* 128 kB */
        AND changelane.measure(ROW(new_row."status")) > 16777216 /* 16 MB */
        THEN changelane.key_only('insert', 'shop', 'orders', jsonb_build_object('id', new_row."id"))
        ELSE changelane.message('insert', 'shop', 'orders', jsonb_build_object('id', new_row."id"),
            (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id", 'status',
            new_row."status", 'total', new_row."total")), NULL)
    END FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status",
        NULL::numeric(12,2) AS "total") AS absent, LATERAL
        (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row
            FROM changelane_new) AS new_row
    WHERE (new_row."status" = 'paid') IS TRUE;
    PERFORM changelane.send_all(changelane_changes, '{paid_orders}',
        changelane.headers('{"route": "paid_orders"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."paid_orders_insert_3d209b31"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."paid_orders_insert_3d209b31"() IS
    'changelane:1 project=shop route=paid_orders spec=73d561ed1839 live=68871a366553 queues=paid_orders';
-- An expression that does not fit the table fails here, instead of in the application's writes.
DO $changelane$
BEGIN
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL jit = off;
    PERFORM FROM (SELECT (NULL::"shop"."orders").*) AS new_row
    WHERE false AND num_nulls((new_row."status" = 'paid') IS TRUE) = 0;
END
$changelane$;
CREATE OR REPLACE TRIGGER "!paid_orders_insert_3d209b31" AFTER INSERT ON "shop"."orders"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."paid_orders_insert_3d209b31"();
CALL changelane.mark_trigger('!paid_orders_insert_3d209b31', '"shop"."orders"',
    'changelane:1 project=shop route=paid_orders spec=73d561ed1839 live=131d34385bfa');

CREATE OR REPLACE FUNCTION changelane."paid_orders_update_3d209b31"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    -- Most statements change no wanted row. This cheap query finds that out first.
    PERFORM FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status",
        NULL::numeric(12,2) AS "total") AS absent, LATERAL
        (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row
            FROM changelane_new) AS new_row
    WHERE (new_row."status" = 'paid') IS TRUE
    LIMIT 1;
    IF NOT FOUND THEN RETURN NULL; END IF;
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('paid_orders',
            changelane.message('update', 'shop', 'orders', jsonb_build_object('id', new_row."id"),
            (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id", 'status',
            new_row."status", 'total', new_row."total")), (
                SELECT coalesce(jsonb_object_agg(name, was -> name), '{}')
                FROM (
                    SELECT was, become, jsonb_object_keys(was) AS name
                    FROM (SELECT (jsonb_build_object('id', old_row."id", 'customer_id', old_row."customer_id",
                        'status', old_row."status", 'total', old_row."total")) AS was,
                        (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id",
                        'status', new_row."status", 'total', new_row."total")) AS become OFFSET 0) AS rows
                ) AS listed
                WHERE ROW(become -> name)::record *<> ROW(was -> name)::record
            )), changelane.headers('{"route": "paid_orders"}'), clock_timestamp()),
            (SELECT pg_notify('changelane_paid_orders', '') FROM changelane.sleepers
                WHERE queue = 'paid_orders' AND until > clock_timestamp())
        FROM (SELECT side.* FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id",
            NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent, LATERAL
            (SELECT "id", "customer_id", "status", "total", changelane_old AS changelane_row
                FROM changelane_old) AS side
        ) AS old_row, (SELECT side.* FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id",
            NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent, LATERAL
            (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row
                FROM changelane_new) AS side
        ) AS new_row
        WHERE CASE WHEN greatest(pg_column_size(old_row."status"),
            pg_column_size(new_row."status")) > 65536 /* 64 kB */
                THEN false ELSE ROW(old_row."status")::record *<> ROW(new_row."status")::record
                AND (new_row."status" = 'paid') IS TRUE END;
        IF FOUND THEN RETURN NULL; END IF;
        PERFORM FROM (SELECT NULL::text AS "status") AS absent, LATERAL (
            SELECT "status", changelane_old AS changelane_row FROM changelane_old UNION ALL
            SELECT "status", changelane_new AS changelane_row FROM changelane_new) AS changed
        WHERE pg_column_size(changed."status") > 65536 /* 64 kB */;
        IF NOT FOUND THEN RETURN NULL; END IF; -- the row is not wanted
    END IF;
    -- Both sides hold the rows in one order, so row numbers pair them, even where a key changed.
    OPEN changelane_changes FOR SELECT made.message
        FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status",
            NULL::numeric(12,2) AS "total") AS absent, LATERAL (
            SELECT CASE WHEN greatest(pg_column_size(old_row."status"),
                pg_column_size(new_row."status")) > 65536 /* 64 kB */
                AND changelane.measure(ROW(old_row."status"))
                    + changelane.measure(ROW(new_row."status")) > 16777216 /* 16 MB */
                THEN changelane.key_only('update', 'shop', 'orders', jsonb_build_object('id', new_row."id"),
                    jsonb_build_object('id', old_row."id"))
                ELSE changelane.message('update', 'shop', 'orders', jsonb_build_object('id', new_row."id"),
                    (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id", 'status',
                    new_row."status", 'total', new_row."total")), (
                    SELECT coalesce(jsonb_object_agg(name, was -> name), '{}')
                    FROM (
                        SELECT was, become, jsonb_object_keys(was) AS name
                        FROM (SELECT (jsonb_build_object('id', old_row."id", 'customer_id',
                            old_row."customer_id", 'status', old_row."status", 'total',
                            old_row."total")) AS was, (jsonb_build_object('id', new_row."id", 'customer_id',
                            new_row."customer_id", 'status', new_row."status", 'total',
                            new_row."total")) AS become OFFSET 0) AS rows
                    ) AS listed
                    WHERE ROW(become -> name)::record *<> ROW(was -> name)::record
                ))
            END AS message FROM (SELECT row_number() OVER () AS changelane_number, "id", "customer_id",
                "status", "total", changelane_old AS changelane_row FROM changelane_old) AS old_row
            FULL JOIN (SELECT row_number() OVER () AS changelane_number, "id", "customer_id", "status",
                "total", changelane_new AS changelane_row
                FROM changelane_new) AS new_row USING (changelane_number)
            WHERE ROW(old_row."status")::record *<> ROW(new_row."status")::record
                AND (new_row."status" = 'paid') IS TRUE) AS made;
    PERFORM changelane.send_all(changelane_changes, '{paid_orders}',
        changelane.headers('{"route": "paid_orders"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."paid_orders_update_3d209b31"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."paid_orders_update_3d209b31"() IS
    'changelane:1 project=shop route=paid_orders spec=a8abbb777ca3 live=6a58f87f7524 queues=paid_orders';
-- An expression that does not fit the table fails here, instead of in the application's writes.
DO $changelane$
BEGIN
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL jit = off;
    PERFORM FROM (SELECT (NULL::"shop"."orders").*) AS old_row, (SELECT (NULL::"shop"."orders").*) AS new_row
    WHERE false AND num_nulls((new_row."status" = 'paid') IS TRUE) = 0;
END
$changelane$;
CREATE OR REPLACE TRIGGER "!paid_orders_update_3d209b31" AFTER UPDATE ON "shop"."orders"
    REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."paid_orders_update_3d209b31"();
CALL changelane.mark_trigger('!paid_orders_update_3d209b31', '"shop"."orders"',
    'changelane:1 project=shop route=paid_orders spec=a8abbb777ca3 live=51b2947139af');
