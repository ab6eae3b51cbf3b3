-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."paid_orders_insert_3d209b31"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "paid_orders"}';
    changelane_id text;
    changelane_rows integer;
    changelane_changes refcursor;
BEGIN
    -- Most rows are not wanted. This sets up no more than it takes to say so.
    PERFORM FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status",
        NULL::numeric(12,2) AS "total") AS absent, LATERAL
        (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row
            FROM changelane_new) AS new_row
    WHERE (new_row."status" = 'paid') IS TRUE
    LIMIT 2;
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    changelane_id := changelane.new_id();
    IF current_setting('changelane.traceparent', true) <> '' THEN
        changelane_headers := changelane.add_trace(changelane_headers);
    END IF;

    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('paid_orders', jsonb_build_object(
                'id', changelane_id, 'op', 'insert', 'schema', 'shop', 'table', 'orders',
                'key', jsonb_build_object('id', new_row."id"),
                'new', (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id", 'status',
                    new_row."status", 'total', new_row."total")), 'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp()),
            (SELECT pg_notify('changelane_paid_orders', '') FROM changelane.sleepers
                WHERE queue = 'paid_orders' AND until > clock_timestamp())
        FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status",
            NULL::numeric(12,2) AS "total") AS absent, LATERAL
            (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row
                FROM changelane_new) AS new_row
        WHERE CASE
                WHEN pg_column_size(new_row."status") > pg_size_bytes('128 kB')
                THEN false ELSE (new_row."status" = 'paid') IS TRUE
            END;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR
        SELECT CASE
            WHEN pg_column_size(new_row."status") > pg_size_bytes('128 kB')
                AND changelane.measure(ROW(new_row."status")) > pg_size_bytes('16 MB')
            THEN changelane.key_only(
                changelane.new_id(), 'insert', 'shop', 'orders',
                jsonb_build_object('id', new_row."id")
            )
            ELSE jsonb_build_object(
                'id', changelane.new_id(), 'op', 'insert', 'schema', 'shop', 'table', 'orders',
                'key', jsonb_build_object('id', new_row."id"),
                'new', (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id", 'status',
                    new_row."status", 'total', new_row."total")), 'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            )
        END
        FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status",
            NULL::numeric(12,2) AS "total") AS absent, LATERAL
            (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row
                FROM changelane_new) AS new_row
        WHERE (new_row."status" = 'paid') IS TRUE;
    PERFORM changelane.send_all(changelane_changes, '{paid_orders}', changelane_headers);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."paid_orders_insert_3d209b31"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."paid_orders_insert_3d209b31"() IS
    'changelane:1 project=shop route=paid_orders spec=2a73fff8f815 live=bed603f280c4 queues=paid_orders';
-- An expression that does not suit the table fails here, and not in the application's writes.
DO $changelane$
BEGIN
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL jit = off;
    PERFORM FROM (SELECT (NULL::"shop"."orders").*) AS new_row
    WHERE false AND num_nulls((new_row."status" = 'paid') IS TRUE) = 0;
END
$changelane$;

CREATE OR REPLACE TRIGGER "!paid_orders_insert_3d209b31"
    AFTER INSERT ON "shop"."orders" REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."paid_orders_insert_3d209b31"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!paid_orders_insert_3d209b31" ON "shop"."orders" IS
        'changelane:1 project=shop route=paid_orders spec=2a73fff8f815 live=131d34385bfa';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;

CREATE OR REPLACE FUNCTION changelane."paid_orders_update_3d209b31"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "paid_orders"}';
    changelane_id text;
    changelane_rows integer;
    changelane_changes refcursor;
BEGIN
    -- Most rows are not wanted. This sets up no more than it takes to say so.
    PERFORM FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status",
        NULL::numeric(12,2) AS "total") AS absent, LATERAL
        (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row
            FROM changelane_new) AS new_row
    WHERE (new_row."status" = 'paid') IS TRUE
    LIMIT 1;
    IF NOT FOUND THEN RETURN NULL; END IF;
    -- Is there no row, one, or more?
    PERFORM FROM changelane_new LIMIT 2;
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    changelane_id := changelane.new_id();
    IF current_setting('changelane.traceparent', true) <> '' THEN
        changelane_headers := changelane.add_trace(changelane_headers);
    END IF;

    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('paid_orders', jsonb_build_object(
                'id', changelane_id, 'op', 'update', 'schema', 'shop', 'table', 'orders',
                'key', jsonb_build_object('id', new_row."id"),
                'new', (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id", 'status',
                    new_row."status", 'total', new_row."total")), 'old', (
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
                ),
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp()),
            (SELECT pg_notify('changelane_paid_orders', '') FROM changelane.sleepers
                WHERE queue = 'paid_orders' AND until > clock_timestamp())
        FROM (
            SELECT side.* FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id",
                NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent, LATERAL
                (SELECT "id", "customer_id", "status", "total", changelane_old AS changelane_row
                    FROM changelane_old) AS side
        ) AS old_row, (
            SELECT side.* FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id",
                NULL::text AS "status", NULL::numeric(12,2) AS "total") AS absent, LATERAL
                (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row
                    FROM changelane_new) AS side
        ) AS new_row
        WHERE CASE
                WHEN greatest(pg_column_size(old_row."status"),
                    pg_column_size(new_row."status")) > pg_size_bytes('64 kB')
                THEN false ELSE ROW(old_row."status")::record *<> ROW(new_row."status")::record
                    AND (new_row."status" = 'paid') IS TRUE
            END;
        IF FOUND THEN RETURN NULL; END IF;
        -- The row is not wanted, or large.
        IF NOT EXISTS (
            SELECT FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status",
                NULL::numeric(12,2) AS "total") AS absent, LATERAL (
                SELECT FROM (SELECT "id", "customer_id", "status", "total", changelane_old AS changelane_row
                    FROM changelane_old) AS old_row,
                    (SELECT "id", "customer_id", "status", "total", changelane_new AS changelane_row
                        FROM changelane_new) AS new_row
                WHERE greatest(pg_column_size(old_row."status"),
                    pg_column_size(new_row."status")) > pg_size_bytes('64 kB')
            ) AS made
        ) THEN RETURN NULL; END IF;
    END IF;
    -- Both sides hold the rows in one order, so their numbers pair them whatever became of their keys.
    OPEN changelane_changes FOR
        SELECT made.message
        FROM (SELECT NULL::bigint AS "id", NULL::bigint AS "customer_id", NULL::text AS "status",
            NULL::numeric(12,2) AS "total") AS absent, LATERAL (
            SELECT CASE
                WHEN greatest(pg_column_size(old_row."status"),
                    pg_column_size(new_row."status")) > pg_size_bytes('64 kB')
                    AND changelane.measure(ROW(old_row."status"))
                        + changelane.measure(ROW(new_row."status")) > pg_size_bytes('16 MB')
                THEN changelane.key_only(
                    changelane.new_id(), 'update', 'shop', 'orders',
                    jsonb_build_object('id', new_row."id"),
                    jsonb_build_object('id', old_row."id")
                )
                ELSE jsonb_build_object(
                    'id', changelane.new_id(), 'op', 'update', 'schema', 'shop', 'table', 'orders',
                    'key', jsonb_build_object('id', new_row."id"),
                    'new', (jsonb_build_object('id', new_row."id", 'customer_id', new_row."customer_id",
                        'status', new_row."status", 'total', new_row."total")), 'old', (
                        SELECT coalesce(jsonb_object_agg(name, was -> name), '{}')
                        FROM (
                            SELECT was, become, jsonb_object_keys(was) AS name
                            FROM (SELECT (jsonb_build_object('id', old_row."id", 'customer_id',
                                old_row."customer_id", 'status', old_row."status", 'total',
                                old_row."total")) AS was, (jsonb_build_object('id', new_row."id",
                                'customer_id', new_row."customer_id", 'status', new_row."status", 'total',
                                new_row."total")) AS become OFFSET 0) AS rows
                        ) AS listed
                        WHERE ROW(become -> name)::record *<> ROW(was -> name)::record
                    ),
                    'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
                )
            END AS message
            FROM (SELECT row_number() OVER () AS changelane_number, "id", "customer_id", "status", "total",
                changelane_old AS changelane_row FROM changelane_old) AS old_row
            FULL JOIN (SELECT row_number() OVER () AS changelane_number, "id", "customer_id", "status",
                "total", changelane_new AS changelane_row
                FROM changelane_new) AS new_row USING (changelane_number)
            WHERE ROW(old_row."status")::record *<> ROW(new_row."status")::record
                AND (new_row."status" = 'paid') IS TRUE
        ) AS made;
    PERFORM changelane.send_all(changelane_changes, '{paid_orders}', changelane_headers);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."paid_orders_update_3d209b31"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."paid_orders_update_3d209b31"() IS
    'changelane:1 project=shop route=paid_orders spec=78fc451343cf live=b27752b31476 queues=paid_orders';
-- An expression that does not suit the table fails here, and not in the application's writes.
DO $changelane$
BEGIN
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL jit = off;
    PERFORM FROM (SELECT (NULL::"shop"."orders").*) AS old_row, (SELECT (NULL::"shop"."orders").*) AS new_row
    WHERE false AND num_nulls((new_row."status" = 'paid') IS TRUE) = 0;
END
$changelane$;

CREATE OR REPLACE TRIGGER "!paid_orders_update_3d209b31"
    AFTER UPDATE ON "shop"."orders" REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."paid_orders_update_3d209b31"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!paid_orders_update_3d209b31" ON "shop"."orders" IS
        'changelane:1 project=shop route=paid_orders spec=78fc451343cf live=51b2947139af';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;
