-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."customers_insert_14424ead"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('customers', changelane.message('insert', 'shop', 'customers',
            jsonb_build_object('id', new_row."id"), new_row.changelane_row, NULL),
            changelane.headers('{"route": "customers"}'), clock_timestamp()),
            (SELECT pg_notify('changelane_customers', '') FROM changelane.sleepers
                WHERE queue = 'customers' AND until > clock_timestamp())
        FROM (SELECT NULL::bigint AS "id", NULL::text AS "email", NULL::text AS "name") AS absent, LATERAL
            (SELECT "id", "email", "name", changelane_new AS changelane_row FROM changelane_new) AS new_row
        WHERE (greatest(pg_column_size(new_row."email"), pg_column_size(new_row."name")) > 2097152 /* 2 MB */
                OR pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR SELECT CASE WHEN changelane.weigh(new_row."email")
        + changelane.weigh(new_row."name") > 67108864 /* 64 MB */
        OR changelane.is_large(new_row.changelane_row)
        THEN changelane.key_only('insert', 'shop', 'customers', jsonb_build_object('id', new_row."id"))
        ELSE changelane.message('insert', 'shop', 'customers', jsonb_build_object('id', new_row."id"),
            new_row.changelane_row, NULL)
    END FROM (SELECT NULL::bigint AS "id", NULL::text AS "email", NULL::text AS "name") AS absent, LATERAL
        (SELECT "id", "email", "name", changelane_new AS changelane_row FROM changelane_new) AS new_row;
    PERFORM changelane.send_all(changelane_changes, '{customers}',
        changelane.headers('{"route": "customers"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."customers_insert_14424ead"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."customers_insert_14424ead"() IS
    'changelane:1 project=shop route=customers spec=d022c1f6ba2a live=d1323eb557c9 queues=customers';
CREATE OR REPLACE TRIGGER "!customers_insert_14424ead" AFTER INSERT ON "shop"."customers"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."customers_insert_14424ead"();
CALL changelane.mark_trigger('!customers_insert_14424ead', '"shop"."customers"',
    'changelane:1 project=shop route=customers spec=d022c1f6ba2a live=17919d39ff64');

CREATE OR REPLACE FUNCTION changelane."customers_update_14424ead"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('customers', changelane.message('update', 'shop', 'customers',
            jsonb_build_object('id', new_row."id"), new_row.changelane_row, old_row.changelane_row),
            changelane.headers('{"route": "customers"}'), clock_timestamp()),
            (SELECT pg_notify('changelane_customers', '') FROM changelane.sleepers
                WHERE queue = 'customers' AND until > clock_timestamp())
        FROM (SELECT side.* FROM (SELECT NULL::bigint AS "id", NULL::text AS "email",
            NULL::text AS "name") AS absent, LATERAL
            (SELECT "id", "email", "name", changelane_old AS changelane_row FROM changelane_old) AS side
        ) AS old_row, (SELECT side.* FROM (SELECT NULL::bigint AS "id", NULL::text AS "email",
            NULL::text AS "name") AS absent, LATERAL
            (SELECT "id", "email", "name", changelane_new AS changelane_row FROM changelane_new) AS side
        ) AS new_row
        WHERE CASE WHEN greatest(pg_column_size(old_row."email"), pg_column_size(old_row."name"),
            pg_column_size(new_row."email"), pg_column_size(new_row."name")) > 2097152 /* 2 MB */
                OR pg_column_size(old_row.changelane_row)
                    + pg_column_size(new_row.changelane_row) > 131072 /* 128 kB */
                THEN false ELSE old_row.changelane_row *<> new_row.changelane_row END;
        IF FOUND THEN RETURN NULL; END IF;
        PERFORM FROM (SELECT NULL::text AS "email", NULL::text AS "name") AS absent, LATERAL (
            SELECT "email", "name", changelane_old AS changelane_row FROM changelane_old UNION ALL
            SELECT "email", "name", changelane_new AS changelane_row FROM changelane_new) AS changed
        WHERE greatest(pg_column_size(changed."email"), pg_column_size(changed."name")) > 2097152 /* 2 MB */
            OR pg_column_size(changed.changelane_row) > 65536 /* 64 kB */;
        IF NOT FOUND THEN RETURN NULL; END IF; -- the row is not wanted
    END IF;
    -- Both sides hold the rows in one order, so row numbers pair them, even where a key changed.
    OPEN changelane_changes FOR SELECT made.message
        FROM (SELECT NULL::bigint AS "id", NULL::text AS "email", NULL::text AS "name") AS absent, LATERAL (
            SELECT CASE WHEN changelane.is_large(old_row.changelane_row, new_row.changelane_row) IS NOT FALSE
                THEN changelane.key_only('update', 'shop', 'customers',
                    jsonb_build_object('id', new_row."id"), jsonb_build_object('id', old_row."id"))
                ELSE changelane.message('update', 'shop', 'customers', jsonb_build_object('id', new_row."id"),
                    new_row.changelane_row, old_row.changelane_row)
            END AS message FROM (SELECT row_number() OVER () AS changelane_number, "id",
                    CASE WHEN changelane.weigh("email") + changelane.weigh("name") > 67108864 /* 64 MB */
                        THEN NULL ELSE changelane_old END AS changelane_row FROM changelane_old) AS old_row
            FULL JOIN (SELECT row_number() OVER () AS changelane_number, "id",
                    CASE WHEN changelane.weigh("email") + changelane.weigh("name") > 67108864 /* 64 MB */
                        THEN NULL ELSE changelane_new END AS changelane_row
                        FROM changelane_new) AS new_row USING (changelane_number)
            WHERE (old_row.changelane_row *<> new_row.changelane_row) IS NOT FALSE) AS made;
    PERFORM changelane.send_all(changelane_changes, '{customers}',
        changelane.headers('{"route": "customers"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."customers_update_14424ead"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."customers_update_14424ead"() IS
    'changelane:1 project=shop route=customers spec=137af2736442 live=2815f23d3868 queues=customers';
CREATE OR REPLACE TRIGGER "!customers_update_14424ead" AFTER UPDATE ON "shop"."customers"
    REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."customers_update_14424ead"();
CALL changelane.mark_trigger('!customers_update_14424ead', '"shop"."customers"',
    'changelane:1 project=shop route=customers spec=137af2736442 live=db1eb74590be');

CREATE OR REPLACE FUNCTION changelane."customers_delete_14424ead"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_old LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('customers', changelane.message('delete', 'shop', 'customers',
            jsonb_build_object('id', old_row."id"), NULL::text, old_row.changelane_row),
            changelane.headers('{"route": "customers"}'), clock_timestamp()),
            (SELECT pg_notify('changelane_customers', '') FROM changelane.sleepers
                WHERE queue = 'customers' AND until > clock_timestamp())
        FROM (SELECT NULL::bigint AS "id", NULL::text AS "email", NULL::text AS "name") AS absent, LATERAL
            (SELECT "id", "email", "name", changelane_old AS changelane_row FROM changelane_old) AS old_row
        WHERE (greatest(pg_column_size(old_row."email"), pg_column_size(old_row."name")) > 2097152 /* 2 MB */
                OR pg_column_size(old_row.changelane_row) > 131072 /* 128 kB */) IS NOT TRUE;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR SELECT CASE WHEN changelane.weigh(old_row."email")
        + changelane.weigh(old_row."name") > 67108864 /* 64 MB */
        OR changelane.is_large(old_row.changelane_row)
        THEN changelane.key_only('delete', 'shop', 'customers', jsonb_build_object('id', old_row."id"),
            jsonb_build_object('id', old_row."id"))
        ELSE changelane.message('delete', 'shop', 'customers', jsonb_build_object('id', old_row."id"),
            NULL::text, old_row.changelane_row)
    END FROM (SELECT NULL::bigint AS "id", NULL::text AS "email", NULL::text AS "name") AS absent, LATERAL
        (SELECT "id", "email", "name", changelane_old AS changelane_row FROM changelane_old) AS old_row;
    PERFORM changelane.send_all(changelane_changes, '{customers}',
        changelane.headers('{"route": "customers"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."customers_delete_14424ead"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."customers_delete_14424ead"() IS
    'changelane:1 project=shop route=customers spec=94dfa8a88fa8 live=280a30189e2b queues=customers';
CREATE OR REPLACE TRIGGER "!customers_delete_14424ead" AFTER DELETE ON "shop"."customers"
    REFERENCING OLD TABLE AS changelane_old FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."customers_delete_14424ead"();
CALL changelane.mark_trigger('!customers_delete_14424ead', '"shop"."customers"',
    'changelane:1 project=shop route=customers spec=94dfa8a88fa8 live=c2d585afba05');
