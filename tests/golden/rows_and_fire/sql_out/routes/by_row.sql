-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."by_row_insert_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $changelane$ #variable_conflict use_column
BEGIN
    PERFORM pgmq.send('events', changelane.message('insert', 'public', 'orders',
        jsonb_build_object('id', new_row."id"), new_row.changelane_row, NULL),
        changelane.headers('{"route": "by_row"}'), clock_timestamp())
    FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
        (SELECT "id", "by_row_insert_71eb967f".NEW AS changelane_row
            FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS new_row
    WHERE (pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */) IS NOT TRUE;
    IF FOUND THEN RETURN NULL; END IF;
    -- The row is large. This is a separate query, because a long query is slow to set up.
    PERFORM pgmq.send('events', CASE WHEN changelane.is_large(new_row.changelane_row)
            THEN changelane.key_only('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"))
            ELSE changelane.message('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"),
                new_row.changelane_row, NULL)
        END, changelane.headers('{"route": "by_row"}'), clock_timestamp())
    FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
        (SELECT "id", "by_row_insert_71eb967f".NEW AS changelane_row
            FROM (SELECT NEW.*
            WHERE '0'::regclass /* this table */ IS NOT NULL OFFSET 0) AS source) AS new_row;
    RETURN NULL;
END $changelane$;
-- The body contains the table's oid, so each session makes new plans after ALTER TABLE, even after a rename.
DO $changelane$
BEGIN
    EXECUTE replace(
        pg_get_functiondef(
            'changelane."by_row_insert_71eb967f"()'::regprocedure
        ),
        '''0''::regclass /* this table */',
        replace('''0''::regclass /* this table */', '0', '"public"."orders"'::regclass::oid::text)
    );
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."by_row_insert_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."by_row_insert_71eb967f"() IS
    'changelane:1 project=golden route=by_row spec=a47a012ff7dc live=2f1c61a71e5b queues=events';
CREATE OR REPLACE TRIGGER "!by_row_insert_71eb967f" AFTER INSERT ON "public"."orders"
    FOR EACH ROW
    EXECUTE FUNCTION changelane."by_row_insert_71eb967f"();
ALTER TABLE "public"."orders" ENABLE ALWAYS TRIGGER "!by_row_insert_71eb967f";
CALL changelane.mark_trigger('!by_row_insert_71eb967f', '"public"."orders"',
    'changelane:1 project=golden route=by_row spec=a47a012ff7dc live=412562e67036');

CREATE OR REPLACE FUNCTION changelane."by_row_update_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
AS $changelane$ #variable_conflict use_column
BEGIN
    PERFORM pgmq.send('events', changelane.message('update', 'public', 'orders',
        jsonb_build_object('id', new_row."id"), new_row.changelane_row, old_row.changelane_row),
        changelane.headers('{"route": "by_row"}'), clock_timestamp())
    FROM (SELECT side.* FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
        (SELECT "id", "by_row_update_71eb967f".OLD AS changelane_row
            FROM (SELECT OLD.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS side
    ) AS old_row, (SELECT side.* FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
        (SELECT "id", "by_row_update_71eb967f".NEW AS changelane_row
            FROM (SELECT NEW.* WHERE '0'::regclass /* this table */ IS NOT NULL) AS source) AS side
    ) AS new_row
    WHERE CASE WHEN pg_column_size(old_row.changelane_row)
        + pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */
            THEN false ELSE old_row.changelane_row *<> new_row.changelane_row END;
    IF FOUND THEN RETURN NULL; END IF;
    -- The row is not wanted, or it is large. This is a separate query, because a long query is slow to set
    -- up.
    IF EXISTS (
        SELECT FROM (SELECT NULL::integer AS "id") AS absent, LATERAL (
            SELECT FROM (SELECT "id", "by_row_update_71eb967f".OLD AS changelane_row
                FROM (SELECT OLD.*
                WHERE '0'::regclass /* this table */ IS NOT NULL OFFSET 0) AS source) AS old_row,
                (SELECT "id", "by_row_update_71eb967f".NEW AS changelane_row
                    FROM (SELECT NEW.*
                    WHERE '0'::regclass /* this table */ IS NOT NULL OFFSET 0) AS source) AS new_row
            WHERE pg_column_size(old_row.changelane_row)
                + pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */) AS made
    ) THEN
        PERFORM pgmq.send('events', CASE WHEN changelane.is_large(old_row.changelane_row,
            new_row.changelane_row)
                THEN changelane.key_only('update', 'public', 'orders', jsonb_build_object('id', new_row."id"),
                    jsonb_build_object('id', old_row."id"))
                ELSE changelane.message('update', 'public', 'orders', jsonb_build_object('id', new_row."id"),
                    new_row.changelane_row, old_row.changelane_row)
            END, changelane.headers('{"route": "by_row"}'), clock_timestamp())
        FROM (SELECT side.* FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
            (SELECT "id", "by_row_update_71eb967f".OLD AS changelane_row
                FROM (SELECT OLD.*
                WHERE '0'::regclass /* this table */ IS NOT NULL OFFSET 0) AS source) AS side
        ) AS old_row, (SELECT side.* FROM (SELECT NULL::integer AS "id") AS absent, LATERAL
            (SELECT "id", "by_row_update_71eb967f".NEW AS changelane_row
                FROM (SELECT NEW.*
                WHERE '0'::regclass /* this table */ IS NOT NULL OFFSET 0) AS source) AS side
        ) AS new_row
        WHERE old_row.changelane_row *<> new_row.changelane_row;
    END IF;
    RETURN NULL;
END $changelane$;
-- The body contains the table's oid, so each session makes new plans after ALTER TABLE, even after a rename.
DO $changelane$
BEGIN
    EXECUTE replace(
        pg_get_functiondef(
            'changelane."by_row_update_71eb967f"()'::regprocedure
        ),
        '''0''::regclass /* this table */',
        replace('''0''::regclass /* this table */', '0', '"public"."orders"'::regclass::oid::text)
    );
END
$changelane$;
REVOKE ALL ON FUNCTION changelane."by_row_update_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."by_row_update_71eb967f"() IS
    'changelane:1 project=golden route=by_row spec=c7c3d12ac4fc live=401ecb9ab564 queues=events';
CREATE OR REPLACE TRIGGER "!by_row_update_71eb967f" AFTER UPDATE ON "public"."orders"
    FOR EACH ROW
    EXECUTE FUNCTION changelane."by_row_update_71eb967f"();
ALTER TABLE "public"."orders" ENABLE ALWAYS TRIGGER "!by_row_update_71eb967f";
CALL changelane.mark_trigger('!by_row_update_71eb967f', '"public"."orders"',
    'changelane:1 project=golden route=by_row spec=c7c3d12ac4fc live=7554e2e36991');
