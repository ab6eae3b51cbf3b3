-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."by_row_insert_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "by_row"}';
    changelane_id text;
BEGIN
    changelane_id := changelane.new_id();
    IF current_setting('changelane.traceparent', true) <> '' THEN
        changelane_headers := changelane.add_trace(changelane_headers);
    END IF;

    PERFORM pgmq.send('events', jsonb_build_object(
            'id', changelane_id, 'op', 'insert', 'schema', 'public', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', new_row.changelane_row, 'old', NULL,
            'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
        ), changelane_headers, clock_timestamp())
    FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
        (SELECT "id", "by_row_insert_71eb967f".NEW AS changelane_row
            FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS new_row
    WHERE (pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')) IS NOT TRUE;
    IF FOUND THEN RETURN NULL; END IF;
    -- The row is large. A query of its own, for what it may say costs when it is set up.
    PERFORM pgmq.send('events', CASE
            WHEN pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                AND changelane.measure(new_row.changelane_row) > pg_size_bytes('16 MB')
            THEN changelane.key_only(
                changelane_id, 'insert', 'public', 'orders',
                jsonb_build_object('id', new_row."id")
            )
            ELSE jsonb_build_object(
                'id', changelane_id, 'op', 'insert', 'schema', 'public', 'table', 'orders',
                'key', jsonb_build_object('id', new_row."id"),
                'new', new_row.changelane_row, 'old', NULL,
                'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
            )
        END, changelane_headers, clock_timestamp())
    FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
        (SELECT "id", "by_row_insert_71eb967f".NEW AS changelane_row
            FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS new_row;
    RETURN NULL;
END
$changelane$;
-- The table's number in the body makes each session plan anew after ALTER TABLE, by whatever name.
DO $changelane$
BEGIN
    EXECUTE replace(
        pg_get_functiondef('changelane."by_row_insert_71eb967f"()'::regprocedure),
        '''0''::regclass /* this table */',
        replace('''0''::regclass /* this table */', '0', '"public"."orders"'::regclass::oid::text)
    );
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."by_row_insert_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."by_row_insert_71eb967f"() IS
    'changelane:1 project=golden route=by_row spec=2c2356964fff live=0097bb8fbfe4 queues=events';

CREATE OR REPLACE TRIGGER "!by_row_insert_71eb967f"
    AFTER INSERT ON "public"."orders"
    FOR EACH ROW EXECUTE FUNCTION changelane."by_row_insert_71eb967f"();
ALTER TABLE "public"."orders" ENABLE ALWAYS TRIGGER "!by_row_insert_71eb967f";
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!by_row_insert_71eb967f" ON "public"."orders" IS
        'changelane:1 project=golden route=by_row spec=2c2356964fff live=412562e67036';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;

CREATE OR REPLACE FUNCTION changelane."by_row_update_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $changelane$
#variable_conflict use_column
DECLARE
    changelane_headers jsonb := '{"route": "by_row"}';
    changelane_id text;
BEGIN
    changelane_id := changelane.new_id();
    IF current_setting('changelane.traceparent', true) <> '' THEN
        changelane_headers := changelane.add_trace(changelane_headers);
    END IF;

    PERFORM pgmq.send('events', jsonb_build_object(
            'id', changelane_id, 'op', 'update', 'schema', 'public', 'table', 'orders',
            'key', jsonb_build_object('id', new_row."id"),
            'new', new_row.changelane_row, 'old', old_row.changelane_row,
            'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
        ), changelane_headers, clock_timestamp())
    FROM (
        SELECT side.* FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
            (SELECT "id", "by_row_update_71eb967f".OLD AS changelane_row
                FROM (SELECT OLD.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS side
    ) AS old_row, (
        SELECT side.* FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
            (SELECT "id", "by_row_update_71eb967f".NEW AS changelane_row
                FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS side
    ) AS new_row
    WHERE CASE
            WHEN pg_column_size(old_row.changelane_row)
                + pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
            THEN false ELSE old_row.changelane_row *<> new_row.changelane_row
        END;
    IF FOUND THEN RETURN NULL; END IF;
    -- The row is not wanted, or large. A query of its own, for what it may say costs when it is set up.
    IF EXISTS (
        SELECT FROM (SELECT NULL::integer AS "id") AS absent, LATERAL (
            SELECT FROM (SELECT "id", "by_row_update_71eb967f".OLD AS changelane_row
                FROM (SELECT OLD.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS old_row,
                (SELECT "id", "by_row_update_71eb967f".NEW AS changelane_row
                    FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS new_row
            WHERE pg_column_size(old_row.changelane_row)
                + pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
        ) AS made
    ) THEN
        PERFORM pgmq.send('events', CASE
                WHEN pg_column_size(old_row.changelane_row)
                    + pg_column_size(new_row.changelane_row) > pg_size_bytes('128 kB')
                    AND changelane.measure(old_row.changelane_row)
                        + changelane.measure(new_row.changelane_row) > pg_size_bytes('16 MB')
                THEN changelane.key_only(
                    changelane_id, 'update', 'public', 'orders',
                    jsonb_build_object('id', new_row."id"),
                    jsonb_build_object('id', old_row."id")
                )
                ELSE jsonb_build_object(
                    'id', changelane_id, 'op', 'update', 'schema', 'public', 'table', 'orders',
                    'key', jsonb_build_object('id', new_row."id"),
                    'new', new_row.changelane_row, 'old', old_row.changelane_row,
                    'txid', pg_current_xact_id()::text, 'at', clock_timestamp()
                )
            END, changelane_headers, clock_timestamp())
        FROM (
            SELECT side.* FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
                (SELECT "id", "by_row_update_71eb967f".OLD AS changelane_row
                    FROM (SELECT OLD.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS side
        ) AS old_row, (
            SELECT side.* FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
                (SELECT "id", "by_row_update_71eb967f".NEW AS changelane_row
                    FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS side
        ) AS new_row
        WHERE old_row.changelane_row *<> new_row.changelane_row;
    END IF;
    RETURN NULL;
END
$changelane$;
-- The table's number in the body makes each session plan anew after ALTER TABLE, by whatever name.
DO $changelane$
BEGIN
    EXECUTE replace(
        pg_get_functiondef('changelane."by_row_update_71eb967f"()'::regprocedure),
        '''0''::regclass /* this table */',
        replace('''0''::regclass /* this table */', '0', '"public"."orders"'::regclass::oid::text)
    );
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."by_row_update_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."by_row_update_71eb967f"() IS
    'changelane:1 project=golden route=by_row spec=e5db0d24eb93 live=eda868ed8b6d queues=events';

CREATE OR REPLACE TRIGGER "!by_row_update_71eb967f"
    AFTER UPDATE ON "public"."orders"
    FOR EACH ROW EXECUTE FUNCTION changelane."by_row_update_71eb967f"();
ALTER TABLE "public"."orders" ENABLE ALWAYS TRIGGER "!by_row_update_71eb967f";
DO $changelane$ BEGIN
    COMMENT ON TRIGGER "!by_row_update_71eb967f" ON "public"."orders" IS
        'changelane:1 project=golden route=by_row spec=e5db0d24eb93 live=7554e2e36991';
-- The table belongs to another role: its trigger is known by the function that it calls.
EXCEPTION WHEN insufficient_privilege THEN NULL; END $changelane$;
