-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."paid_insert_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    -- Most statements change no wanted row. This cheap query finds that out first.
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
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', changelane.message('insert', 'public', 'orders',
            jsonb_build_object('id', new_row."id"), new_row.changelane_row, NULL),
            changelane.headers('{"route": "paid"}'), clock_timestamp())
        FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total",
            NULL::text AS "note") AS absent, LATERAL
            (SELECT "id", "status", "total", "note", changelane_new AS changelane_row
                FROM changelane_new) AS new_row
        WHERE CASE WHEN greatest(pg_column_size(new_row."status"),
            pg_column_size(new_row."note")) > 2097152 /* 2 MB */
                OR pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */
                THEN false ELSE (new_row."status" = 'paid' and 'insert'::text <> 'delete'
                    and ((CASE WHEN false THEN new_row."total" END) is null
                    or (CASE WHEN false THEN new_row."total" END) < new_row."total")) IS TRUE END;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR SELECT CASE WHEN changelane.weigh(new_row."status")
        + changelane.weigh(new_row."note") > 67108864 /* 64 MB */
        OR changelane.is_large(new_row.changelane_row)
        THEN changelane.key_only('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"))
        ELSE changelane.message('insert', 'public', 'orders', jsonb_build_object('id', new_row."id"),
            new_row.changelane_row, NULL)
    END FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total",
        NULL::text AS "note") AS absent, LATERAL
        (SELECT "id", "status", "total", "note", changelane_new AS changelane_row
            FROM changelane_new) AS new_row
    WHERE (new_row."status" = 'paid' and 'insert'::text <> 'delete'
        and ((CASE WHEN false THEN new_row."total" END) is null
        or (CASE WHEN false THEN new_row."total" END) < new_row."total")) IS TRUE;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane.headers('{"route": "paid"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."paid_insert_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."paid_insert_71eb967f"() IS
    'changelane:1 project=golden route=paid spec=0ad0d00abbec live=fca1b707501a queues=events';
-- An expression that does not fit the table fails here, instead of in the application's writes.
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
CREATE OR REPLACE TRIGGER "!paid_insert_71eb967f" AFTER INSERT ON "public"."orders"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."paid_insert_71eb967f"();
CALL changelane.mark_trigger('!paid_insert_71eb967f', '"public"."orders"',
    'changelane:1 project=golden route=paid spec=0ad0d00abbec live=131c5bb6385e');

CREATE OR REPLACE FUNCTION changelane."paid_update_71eb967f"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM FROM (SELECT side.* FROM (SELECT NULL::integer AS "id", NULL::text AS "status",
            NULL::numeric AS "total", NULL::text AS "note") AS absent, LATERAL
            (SELECT "id", "status", "total", "note", changelane_old AS changelane_row
                FROM changelane_old) AS side
        ) AS old_row, (SELECT side.* FROM (SELECT NULL::integer AS "id", NULL::text AS "status",
            NULL::numeric AS "total", NULL::text AS "note") AS absent, LATERAL
            (SELECT "id", "status", "total", "note", changelane_new AS changelane_row
                FROM changelane_new) AS side
        ) AS new_row
        WHERE ROW(old_row."status", old_row."total")::record *<> ROW(new_row."status",
            new_row."total")::record
            AND (new_row."status" = 'paid' and 'update'::text <> 'delete'
                and (old_row."total" is null or old_row."total" < new_row."total")) IS TRUE;
        IF NOT FOUND THEN RETURN NULL; END IF;
    END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', changelane.message('update', 'public', 'orders',
            jsonb_build_object('id', new_row."id"), new_row.changelane_row, old_row.changelane_row),
            changelane.headers('{"route": "paid"}'), clock_timestamp())
        FROM (SELECT side.* FROM (SELECT NULL::integer AS "id", NULL::text AS "status",
            NULL::numeric AS "total", NULL::text AS "note") AS absent, LATERAL
            (SELECT "id", "status", "total", "note", changelane_old AS changelane_row
                FROM changelane_old) AS side
        ) AS old_row, (SELECT side.* FROM (SELECT NULL::integer AS "id", NULL::text AS "status",
            NULL::numeric AS "total", NULL::text AS "note") AS absent, LATERAL
            (SELECT "id", "status", "total", "note", changelane_new AS changelane_row
                FROM changelane_new) AS side
        ) AS new_row
        WHERE CASE WHEN greatest(pg_column_size(old_row."status"), pg_column_size(old_row."note"),
            pg_column_size(new_row."status"), pg_column_size(new_row."note")) > 2097152 /* 2 MB */
                OR pg_column_size(old_row.changelane_row)
                    + pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */
                THEN false ELSE ROW(old_row."status", old_row."total")::record *<> ROW(new_row."status",
                    new_row."total")::record
                AND (new_row."status" = 'paid' and 'update'::text <> 'delete'
                    and (old_row."total" is null or old_row."total" < new_row."total")) IS TRUE END;
        IF FOUND THEN RETURN NULL; END IF;
        PERFORM FROM (SELECT NULL::text AS "status", NULL::text AS "note") AS absent, LATERAL (
            SELECT "status", "note", changelane_old AS changelane_row FROM changelane_old UNION ALL
            SELECT "status", "note", changelane_new AS changelane_row FROM changelane_new) AS changed
        WHERE greatest(pg_column_size(changed."status"), pg_column_size(changed."note")) > 2097152 /* 2 MB */
            OR pg_column_size(changed.changelane_row) > 65536 /* 64 kB */;
        IF NOT FOUND THEN RETURN NULL; END IF; -- the row is not wanted
    END IF;
    -- Both sides hold the rows in one order, so row numbers pair them, even where a key changed.
    OPEN changelane_changes FOR SELECT made.message
        FROM (SELECT NULL::integer AS "id", NULL::text AS "status", NULL::numeric AS "total",
            NULL::text AS "note") AS absent, LATERAL (
            SELECT CASE WHEN changelane.is_large(old_row.changelane_row, new_row.changelane_row) IS NOT FALSE
                THEN changelane.key_only('update', 'public', 'orders', jsonb_build_object('id', new_row."id"),
                    jsonb_build_object('id', old_row."id"))
                ELSE changelane.message('update', 'public', 'orders', jsonb_build_object('id', new_row."id"),
                    new_row.changelane_row, old_row.changelane_row)
            END AS message FROM (SELECT row_number() OVER () AS changelane_number, "id", "status", "total",
                    CASE WHEN changelane.weigh("status") + changelane.weigh("note") > 67108864 /* 64 MB */
                        THEN NULL ELSE changelane_old END AS changelane_row FROM changelane_old) AS old_row
            FULL JOIN (SELECT row_number() OVER () AS changelane_number, "id", "status", "total",
                    CASE WHEN changelane.weigh("status") + changelane.weigh("note") > 67108864 /* 64 MB */
                        THEN NULL ELSE changelane_new END AS changelane_row
                        FROM changelane_new) AS new_row USING (changelane_number)
            WHERE ROW(old_row."status", old_row."total")::record *<> ROW(new_row."status",
                new_row."total")::record
                AND (new_row."status" = 'paid' and 'update'::text <> 'delete'
                    and (old_row."total" is null or old_row."total" < new_row."total")) IS TRUE) AS made;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane.headers('{"route": "paid"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."paid_update_71eb967f"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."paid_update_71eb967f"() IS
    'changelane:1 project=golden route=paid spec=b29f56c45c93 live=23a5789ff334 queues=events';
-- An expression that does not fit the table fails here, instead of in the application's writes.
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
CREATE OR REPLACE TRIGGER "!paid_update_71eb967f" AFTER UPDATE ON "public"."orders"
    REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."paid_update_71eb967f"();
CALL changelane.mark_trigger('!paid_update_71eb967f', '"public"."orders"',
    'changelane:1 project=golden route=paid spec=b29f56c45c93 live=b273d92074e5');
