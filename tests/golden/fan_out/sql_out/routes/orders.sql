-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."orders_update_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "orders"}';
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
        PERFORM pgmq.send('mails', made.message, changelane_headers, clock_timestamp()),
            pgmq.send('stock', made.message, changelane_headers, clock_timestamp())
        FROM (SELECT NULL::integer AS "id") AS absent, LATERAL (
            SELECT jsonb_build_object(
                'id', changelane_id, 'op', 'update', 'schema', 'public', 'table', 'orders',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row, 'old', old_row.changelane_row,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            ) AS message
            FROM (SELECT "id", changelane_old AS changelane_row FROM changelane_old) AS old_row,
                (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS new_row
            WHERE CASE
                    WHEN pg_column_size(old_row.changelane_row)
                        + pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                    THEN false ELSE old_row.changelane_row *<> new_row.changelane_row
                END
            OFFSET 0
        ) AS made;
        IF FOUND THEN RETURN NULL; END IF;
        -- The row is not wanted, or large.
        IF NOT EXISTS (
            SELECT FROM (SELECT NULL::integer AS "id") AS absent, LATERAL (
                SELECT FROM (SELECT "id", changelane_old AS changelane_row FROM changelane_old) AS old_row,
                    (SELECT "id", changelane_new AS changelane_row FROM changelane_new) AS new_row
                WHERE pg_column_size(old_row.changelane_row)
                    + pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
            ) AS made
        ) THEN RETURN NULL; END IF;
    END IF;
    -- Both sides hold the rows in one order, so their numbers pair them whatever became of their keys.
    OPEN changelane_changes FOR
        SELECT made.message
        FROM (SELECT NULL::integer AS "id") AS absent, LATERAL (
            SELECT CASE
                WHEN pg_column_size(old_row.changelane_row)
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
            FROM (SELECT row_number() OVER () AS changelane_number, "id", changelane_old AS changelane_row
                FROM changelane_old) AS old_row
            FULL JOIN (SELECT row_number() OVER () AS changelane_number, "id",
                changelane_new AS changelane_row FROM changelane_new) AS new_row USING (changelane_number)
            WHERE old_row.changelane_row *<> new_row.changelane_row
        ) AS made;
    PERFORM changelane.send_all(changelane_changes, '{mails,stock}', changelane_headers);
    RETURN NULL;
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."orders_update_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_update_71eb967f"() IS
    'changelane:1 project=golden route=orders spec=769d6f685e85 live=806888781598 queues=mails,stock';

CREATE OR REPLACE TRIGGER "!orders_update_71eb967f"
    AFTER UPDATE ON "public"."orders" REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new
    FOR EACH STATEMENT EXECUTE FUNCTION changelane."orders_update_71eb967f"();
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!orders_update_71eb967f" ON "public"."orders" IS
        'changelane:1 project=golden route=orders spec=769d6f685e85 live=e5813b1d2c73';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;
