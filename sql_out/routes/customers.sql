-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."customers_insert_14424ead"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "customers"}';
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
        PERFORM pgmq.send('customers', jsonb_build_object(
                'id', changelane_id, 'op', 'insert', 'schema', 'shop', 'table', 'customers',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row, 'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp()),
            (SELECT pg_notify('changelane_customers', '') FROM changelane.sleepers
                WHERE queue = 'customers' AND until > clock_timestamp())
        FROM (SELECT NULL::bigint AS "id", NULL::text AS "email", NULL::text AS "name") AS absent, LATERAL
            (SELECT "id", "email", "name", changelane_new AS changelane_row FROM changelane_new) AS new_row
        WHERE (greatest(pg_column_size(new_row."email"),
            pg_column_size(new_row."name")) > pg_size_bytes('2 MB')
                OR pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR
        SELECT CASE
            WHEN greatest(pg_column_size(new_row."email"),
                pg_column_size(new_row."name")) > pg_size_bytes('2 MB')
                AND changelane.measure(ROW(new_row."email"))
                + changelane.measure(ROW(new_row."name")) > pg_size_bytes('128 MB')
                OR pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                AND changelane.measure(new_row.changelane_row) > pg_size_bytes('16 MB')
            THEN changelane.key_only(
                changelane.new_id(), 'insert', 'shop', 'customers',
                jsonb_build_object('id', new_row."id")
            )
            ELSE jsonb_build_object(
                'id', changelane.new_id(), 'op', 'insert', 'schema', 'shop', 'table', 'customers',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row, 'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            )
        END
        FROM (SELECT NULL::bigint AS "id", NULL::text AS "email", NULL::text AS "name") AS absent, LATERAL
            (SELECT "id", "email", "name", changelane_new AS changelane_row FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{customers}', changelane_headers);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."customers_insert_14424ead"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."customers_insert_14424ead"() IS
    'changelane:1 project=shop route=customers spec=0e657ef8c139 live=c3fc5dbd22de queues=customers';

CREATE OR REPLACE TRIGGER "!customers_insert_14424ead"
    AFTER INSERT ON "shop"."customers" REFERENCING NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."customers_insert_14424ead"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!customers_insert_14424ead" ON "shop"."customers" IS
        'changelane:1 project=shop route=customers spec=0e657ef8c139 live=17919d39ff64';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;

CREATE OR REPLACE FUNCTION changelane."customers_update_14424ead"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "customers"}';
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
        PERFORM pgmq.send('customers', jsonb_build_object(
                'id', changelane_id, 'op', 'update', 'schema', 'shop', 'table', 'customers',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row, 'old', old_row.changelane_row,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp()),
            (SELECT pg_notify('changelane_customers', '') FROM changelane.sleepers
                WHERE queue = 'customers' AND until > clock_timestamp())
        FROM (
            SELECT side.* FROM (SELECT NULL::bigint AS "id", NULL::text AS "email",
                NULL::text AS "name") AS absent, LATERAL
                (SELECT "id", "email", "name", changelane_old AS changelane_row FROM changelane_old) AS side
        ) AS old_row, (
            SELECT side.* FROM (SELECT NULL::bigint AS "id", NULL::text AS "email",
                NULL::text AS "name") AS absent, LATERAL
                (SELECT "id", "email", "name", changelane_new AS changelane_row FROM changelane_new) AS side
        ) AS new_row
        WHERE CASE
                WHEN greatest(pg_column_size(old_row."email"), pg_column_size(old_row."name"),
                    pg_column_size(new_row."email"), pg_column_size(new_row."name")) > pg_size_bytes('2 MB')
                    OR pg_column_size(old_row.changelane_row)
                        + pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                THEN false ELSE old_row.changelane_row *<> new_row.changelane_row
            END;
        IF FOUND THEN RETURN NULL; END IF;
        -- The row is not wanted, or large.
        IF NOT EXISTS (
            SELECT FROM (SELECT NULL::bigint AS "id", NULL::text AS "email", NULL::text AS "name") AS absent,
                LATERAL (
                SELECT FROM (SELECT "id", "email", "name", changelane_old AS changelane_row
                    FROM changelane_old) AS old_row,
                    (SELECT "id", "email", "name", changelane_new AS changelane_row
                        FROM changelane_new) AS new_row
                WHERE greatest(pg_column_size(old_row."email"), pg_column_size(old_row."name"),
                    pg_column_size(new_row."email"), pg_column_size(new_row."name")) > pg_size_bytes('2 MB')
                    OR pg_column_size(old_row.changelane_row)
                        + pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
            ) AS made
        ) THEN RETURN NULL; END IF;
    END IF;
    -- Both sides hold the rows in one order, so their numbers pair them whatever became of their keys.
    OPEN changelane_changes FOR
        SELECT made.message
        FROM (SELECT NULL::bigint AS "id", NULL::text AS "email", NULL::text AS "name") AS absent, LATERAL (
            SELECT CASE
                WHEN num_nulls(old_row.changelane_row, new_row.changelane_row) > 0
                    OR pg_column_size(old_row.changelane_row)
                        + pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                    AND changelane.measure(old_row.changelane_row)
                        + changelane.measure(new_row.changelane_row) > pg_size_bytes('16 MB')
                THEN changelane.key_only(
                    changelane.new_id(), 'update', 'shop', 'customers',
                    jsonb_build_object('id', new_row."id"),
                    jsonb_build_object('id', old_row."id")
                )
                ELSE jsonb_build_object(
                    'id', changelane.new_id(), 'op', 'update', 'schema', 'shop', 'table', 'customers',
                    'key', jsonb_build_object('id', new_row."id"),
                    'new', new_row.changelane_row, 'old', old_row.changelane_row,
                    'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
                )
            END AS message
            FROM (SELECT row_number() OVER () AS changelane_number, "id", "email", "name", CASE
                WHEN greatest(pg_column_size("email"), pg_column_size("name")) > pg_size_bytes('2 MB')
                    AND changelane.measure(ROW("email"))
                    + changelane.measure(ROW("name")) > pg_size_bytes('128 MB') THEN NULL ELSE changelane_old
            END AS changelane_row FROM changelane_old) AS old_row
            FULL JOIN (SELECT row_number() OVER () AS changelane_number, "id", "email", "name", CASE
                WHEN greatest(pg_column_size("email"), pg_column_size("name")) > pg_size_bytes('2 MB')
                    AND changelane.measure(ROW("email"))
                    + changelane.measure(ROW("name")) > pg_size_bytes('128 MB') THEN NULL ELSE changelane_new
            END AS changelane_row FROM changelane_new) AS new_row USING (changelane_number)
            WHERE (num_nulls(old_row.changelane_row, new_row.changelane_row) > 0
                OR old_row.changelane_row *<> new_row.changelane_row)
        ) AS made;
    PERFORM changelane.send_all(changelane_changes, '{customers}', changelane_headers);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."customers_update_14424ead"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."customers_update_14424ead"() IS
    'changelane:1 project=shop route=customers spec=560f4d3cc37a live=bcd8d611f1d6 queues=customers';

CREATE OR REPLACE TRIGGER "!customers_update_14424ead"
    AFTER UPDATE ON "shop"."customers" REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."customers_update_14424ead"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!customers_update_14424ead" ON "shop"."customers" IS
        'changelane:1 project=shop route=customers spec=560f4d3cc37a live=db1eb74590be';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;

CREATE OR REPLACE FUNCTION changelane."customers_delete_14424ead"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "customers"}';
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
        PERFORM pgmq.send('customers', jsonb_build_object(
                'id', changelane_id, 'op', 'delete', 'schema', 'shop', 'table', 'customers',
                'key', jsonb_build_object('id', old_row."id"),
                'new', NULL, 'old', old_row.changelane_row,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ), changelane_headers, clock_timestamp()),
            (SELECT pg_notify('changelane_customers', '') FROM changelane.sleepers
                WHERE queue = 'customers' AND until > clock_timestamp())
        FROM (SELECT NULL::bigint AS "id", NULL::text AS "email", NULL::text AS "name") AS absent, LATERAL
            (SELECT "id", "email", "name", changelane_old AS changelane_row FROM changelane_old) AS old_row
        WHERE (greatest(pg_column_size(old_row."email"),
            pg_column_size(old_row."name")) > pg_size_bytes('2 MB')
                OR pg_column_size(old_row.changelane_row) > pg_size_bytes('128 kB')) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR
        SELECT CASE
            WHEN greatest(pg_column_size(old_row."email"),
                pg_column_size(old_row."name")) > pg_size_bytes('2 MB')
                AND changelane.measure(ROW(old_row."email"))
                + changelane.measure(ROW(old_row."name")) > pg_size_bytes('128 MB')
                OR pg_column_size(old_row.changelane_row) > pg_size_bytes('128 kB')
                AND changelane.measure(old_row.changelane_row) > pg_size_bytes('16 MB')
            THEN changelane.key_only(
                changelane.new_id(), 'delete', 'shop', 'customers',
                jsonb_build_object('id', old_row."id"),
                jsonb_build_object('id', old_row."id")
            )
            ELSE jsonb_build_object(
                'id', changelane.new_id(), 'op', 'delete', 'schema', 'shop', 'table', 'customers',
                'key', jsonb_build_object('id', old_row."id"),
                'new', NULL, 'old', old_row.changelane_row,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            )
        END
        FROM (SELECT NULL::bigint AS "id", NULL::text AS "email", NULL::text AS "name") AS absent, LATERAL
            (SELECT "id", "email", "name", changelane_old AS changelane_row FROM changelane_old) AS old_row;
    PERFORM changelane.send_all(changelane_changes, '{customers}', changelane_headers);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."customers_delete_14424ead"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."customers_delete_14424ead"() IS
    'changelane:1 project=shop route=customers spec=cec9b2300a56 live=a059cf746280 queues=customers';

CREATE OR REPLACE TRIGGER "!customers_delete_14424ead"
    AFTER DELETE ON "shop"."customers" REFERENCING OLD TABLE AS changelane_old
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."customers_delete_14424ead"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!customers_delete_14424ead" ON "shop"."customers" IS
        'changelane:1 project=shop route=customers spec=cec9b2300a56 live=c2d585afba05';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;
