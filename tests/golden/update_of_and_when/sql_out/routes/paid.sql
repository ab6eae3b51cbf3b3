-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."paid_insert_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "paid"}';
    changelane_id text;
    changelane_rows integer;
    changelane_changes refcursor;
BEGIN
    -- Most rows are not wanted. This sets up no more than it takes to say so.
    PERFORM FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total",
        NULL::text AS "note") AS absent, LATERAL
        (SELECT "id", "status", "total", "note", changelane_new AS changelane_row
            FROM changelane_new) AS new_row
    WHERE (new_row."status" = 'paid' and 'insert'::text <> 'delete'
        and ((CASE WHEN false THEN new_row."total" END) is null
        or (CASE WHEN false THEN new_row."total" END) < new_row."total")) IS TRUE
    LIMIT 2;
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    changelane_id := changelane.new_id();
    IF current_setting('changelane.traceparent', true) <> '' THEN
        changelane_headers := changelane.add_trace(changelane_headers);
    END IF;

    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', jsonb_build_object(
                'id', changelane_id, 'op', 'insert', 'schema', 'public', 'table', 'orders',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row, 'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp())
        FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total",
            NULL::text AS "note") AS absent, LATERAL
            (SELECT "id", "status", "total", "note", changelane_new AS changelane_row
                FROM changelane_new) AS new_row
        WHERE CASE
                WHEN greatest(pg_column_size(new_row."status"),
                    pg_column_size(new_row."note")) > pg_size_bytes('2 MB')
                    OR pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                THEN false ELSE (new_row."status" = 'paid' and 'insert'::text <> 'delete'
                    and ((CASE WHEN false THEN new_row."total" END) is null
                    or (CASE WHEN false THEN new_row."total" END) < new_row."total")) IS TRUE
            END;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR
        SELECT CASE
            WHEN greatest(pg_column_size(new_row."status"),
                pg_column_size(new_row."note")) > pg_size_bytes('2 MB')
                AND changelane.measure(ROW(new_row."status"))
                + changelane.measure(ROW(new_row."note")) > pg_size_bytes('128 MB')
                OR pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                AND changelane.measure(new_row.changelane_row) > pg_size_bytes('16 MB')
            THEN changelane.key_only(
                changelane.new_id(), 'insert', 'public', 'orders',
                jsonb_build_object('id', new_row."id")
            )
            ELSE jsonb_build_object(
                'id', changelane.new_id(), 'op', 'insert', 'schema', 'public', 'table', 'orders',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row, 'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            )
        END
        FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total",
            NULL::text AS "note") AS absent, LATERAL
            (SELECT "id", "status", "total", "note", changelane_new AS changelane_row
                FROM changelane_new) AS new_row
        WHERE (new_row."status" = 'paid' and 'insert'::text <> 'delete'
            and ((CASE WHEN false THEN new_row."total" END) is null
            or (CASE WHEN false THEN new_row."total" END) < new_row."total")) IS TRUE;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane_headers);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."paid_insert_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."paid_insert_71eb967f"() IS
    'changelane:1 project=golden route=paid spec=68454e2498eb live=4edbd46e99d5 queues=events';
-- An expression that does not suit the table fails here, and not in the application's writes.
DO $changelane$
BEGIN
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL jit = off;
    PERFORM FROM (SELECT (NULL::"public"."orders").*) AS new_row
    WHERE false AND num_nulls((new_row."status" = 'paid' and 'insert'::text <> 'delete'
        and ((CASE WHEN false THEN new_row."total" END) is null
        or (CASE WHEN false THEN new_row."total" END) < new_row."total")) IS TRUE) = 0;
END
$changelane$;

CREATE OR REPLACE TRIGGER "!paid_insert_71eb967f"
    AFTER INSERT ON "public"."orders" REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."paid_insert_71eb967f"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!paid_insert_71eb967f" ON "public"."orders" IS
        'changelane:1 project=golden route=paid spec=68454e2498eb live=131c5bb6385e';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;

CREATE OR REPLACE FUNCTION changelane."paid_update_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "paid"}';
    changelane_id text;
    changelane_rows integer;
    changelane_changes refcursor;
BEGIN
    -- Is there no row, one, or more?
    PERFORM FROM changelane_new LIMIT 2;
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total",
            NULL::text AS "note") AS absent, LATERAL (
            SELECT FROM (SELECT "id", "status", "total", "note", changelane_old AS changelane_row
                FROM changelane_old) AS old_row,
                (SELECT "id", "status", "total", "note", changelane_new AS changelane_row
                    FROM changelane_new) AS new_row
            WHERE ROW(old_row."status", old_row."total")::record *<> ROW(new_row."status",
                new_row."total")::record
                AND (new_row."status" = 'paid' and 'update'::text <> 'delete'
                    and (old_row."total" is null or old_row."total" < new_row."total")) IS TRUE
        ) AS made;
        IF NOT FOUND THEN RETURN NULL; END IF;
    END IF;
    changelane_id := changelane.new_id();
    IF current_setting('changelane.traceparent', true) <> '' THEN
        changelane_headers := changelane.add_trace(changelane_headers);
    END IF;

    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', jsonb_build_object(
                'id', changelane_id, 'op', 'update', 'schema', 'public', 'table', 'orders',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row, 'old', old_row.changelane_row,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp())
        FROM (
            SELECT side.* FROM (SELECT NULL::integer AS "id", NULL::text AS "status",
                NULL::numeric AS "total", NULL::text AS "note") AS absent, LATERAL
                (SELECT "id", "status", "total", "note", changelane_old AS changelane_row
                    FROM changelane_old) AS side
        ) AS old_row, (
            SELECT side.* FROM (SELECT NULL::integer AS "id", NULL::text AS "status",
                NULL::numeric AS "total", NULL::text AS "note") AS absent, LATERAL
                (SELECT "id", "status", "total", "note", changelane_new AS changelane_row
                    FROM changelane_new) AS side
        ) AS new_row
        WHERE CASE
                WHEN greatest(pg_column_size(old_row."status"), pg_column_size(old_row."note"),
                    pg_column_size(new_row."status"), pg_column_size(new_row."note")) > pg_size_bytes('2 MB')
                    OR pg_column_size(old_row.changelane_row)
                        + pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                THEN false ELSE ROW(old_row."status", old_row."total")::record *<> ROW(new_row."status",
                    new_row."total")::record
                    AND (new_row."status" = 'paid' and 'update'::text <> 'delete'
                        and (old_row."total" is null or old_row."total" < new_row."total")) IS TRUE
            END;
        IF FOUND THEN RETURN NULL; END IF;
        -- The row is not wanted, or large.
        IF NOT EXISTS (
            SELECT FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total",
                NULL::text AS "note") AS absent, LATERAL (
                SELECT FROM (SELECT "id", "status", "total", "note", changelane_old AS changelane_row
                    FROM changelane_old) AS old_row,
                    (SELECT "id", "status", "total", "note", changelane_new AS changelane_row
                        FROM changelane_new) AS new_row
                WHERE greatest(pg_column_size(old_row."status"), pg_column_size(old_row."note"),
                    pg_column_size(new_row."status"), pg_column_size(new_row."note")) > pg_size_bytes('2 MB')
                    OR pg_column_size(old_row.changelane_row)
                        + pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
            ) AS made
        ) THEN RETURN NULL; END IF;
    END IF;
    -- Both sides hold the rows in one order, so their numbers pair them whatever became of their keys.
    OPEN changelane_changes FOR
        SELECT made.message
        FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total",
            NULL::text AS "note") AS absent, LATERAL (
            SELECT CASE
                WHEN num_nulls(old_row.changelane_row, new_row.changelane_row) > 0
                    OR pg_column_size(old_row.changelane_row)
                        + pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                    AND changelane.measure(old_row.changelane_row)
                        + changelane.measure(new_row.changelane_row) > pg_size_bytes('16 MB')
                THEN changelane.key_only(
                    changelane.new_id(), 'update', 'public', 'orders',
                    jsonb_build_object('id', new_row."id"),
                    jsonb_build_object('id', old_row."id")
                )
                ELSE jsonb_build_object(
                    'id', changelane.new_id(), 'op', 'update', 'schema', 'public', 'table', 'orders',
                    'key', jsonb_build_object('id', new_row."id"),
                    'new', new_row.changelane_row, 'old', old_row.changelane_row,
                    'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
                )
            END AS message
            FROM (SELECT row_number() OVER () AS changelane_number, "id", "status", "total", "note", CASE
                WHEN greatest(pg_column_size("status"), pg_column_size("note")) > pg_size_bytes('2 MB')
                    AND changelane.measure(ROW("status"))
                    + changelane.measure(ROW("note")) > pg_size_bytes('128 MB') THEN NULL ELSE changelane_old
            END AS changelane_row FROM changelane_old) AS old_row
            FULL JOIN (SELECT row_number() OVER () AS changelane_number, "id", "status", "total", "note", CASE
                WHEN greatest(pg_column_size("status"), pg_column_size("note")) > pg_size_bytes('2 MB')
                    AND changelane.measure(ROW("status"))
                    + changelane.measure(ROW("note")) > pg_size_bytes('128 MB') THEN NULL ELSE changelane_new
            END AS changelane_row FROM changelane_new) AS new_row USING (changelane_number)
            WHERE ROW(old_row."status", old_row."total")::record *<> ROW(new_row."status",
                new_row."total")::record
                AND (new_row."status" = 'paid' and 'update'::text <> 'delete'
                    and (old_row."total" is null or old_row."total" < new_row."total")) IS TRUE
        ) AS made;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane_headers);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."paid_update_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."paid_update_71eb967f"() IS
    'changelane:1 project=golden route=paid spec=9d9343026b90 live=d2584bb329d2 queues=events';
-- An expression that does not suit the table fails here, and not in the application's writes.
DO $changelane$
BEGIN
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL jit = off;
    PERFORM FROM (SELECT (NULL::"public"."orders").*) AS old_row,
        (SELECT (NULL::"public"."orders").*) AS new_row
    WHERE false AND num_nulls((new_row."status" = 'paid' and 'update'::text <> 'delete'
        and (old_row."total" is null or old_row."total" < new_row."total")) IS TRUE) = 0;
END
$changelane$;

CREATE OR REPLACE TRIGGER "!paid_update_71eb967f"
    AFTER UPDATE ON "public"."orders" REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."paid_update_71eb967f"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!paid_update_71eb967f" ON "public"."orders" IS
        'changelane:1 project=golden route=paid spec=9d9343026b90 live=b273d92074e5';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;
