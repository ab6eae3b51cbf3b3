-- Written by `changelane generate`: edit pipelines.yaml, not this file.

CREATE OR REPLACE FUNCTION changelane."orders_insert_e0730411"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    -- Most statements change no wanted row. This cheap query finds that out first.
    PERFORM FROM (SELECT NULL::integer AS "select", NULL::text AS "new", NULL::text AS "old",
        NULL::integer AS "Größe", NULL::text AS "it's") AS absent, LATERAL
        (SELECT "select", "new", "old", "Größe", "it's", changelane_new AS changelane_row
            FROM changelane_new) AS new_row
    WHERE (new_row."Größe" > 1 and new_row."new" is distinct from (CASE WHEN false THEN new_row."old" END)
        and new_row."it's" <> '$$') IS TRUE
    LIMIT 2;
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', changelane.message('insert', 'My Schema', 'Order "x" $$ ; --',
            jsonb_build_object('select', new_row."select"),
            (jsonb_build_object('select', new_row."select", 'new', new_row."new", 'old', new_row."old",
            'Größe', new_row."Größe", 'it''s', new_row."it's")), NULL),
            changelane.headers('{"route": "orders"}'), clock_timestamp())
        FROM (SELECT NULL::integer AS "select", NULL::text AS "new", NULL::text AS "old",
            NULL::integer AS "Größe", NULL::text AS "it's") AS absent, LATERAL
            (SELECT "select", "new", "old", "Größe", "it's", changelane_new AS changelane_row
                FROM changelane_new) AS new_row
        WHERE CASE WHEN greatest(pg_column_size(new_row."new"), pg_column_size(new_row."old"),
            pg_column_size(new_row."it's")) > 43690
                THEN false ELSE (new_row."Größe" > 1 and new_row."new" is distinct
                    from (CASE WHEN false THEN new_row."old" END) and new_row."it's" <> '$$') IS TRUE END;
        IF FOUND THEN RETURN NULL; END IF;
    END IF;
    OPEN changelane_changes FOR SELECT CASE WHEN greatest(pg_column_size(new_row."new"),
        pg_column_size(new_row."old"), pg_column_size(new_row."it's")) > 43690
        AND changelane.measure(ROW(new_row."new")) + changelane.measure(ROW(new_row."old"))
            + changelane.measure(ROW(new_row."it's")) > 16777216 /* 16 MB */
        THEN changelane.key_only('insert', 'My Schema', 'Order "x" $$ ; --',
            jsonb_build_object('select', new_row."select"))
        ELSE changelane.message('insert', 'My Schema', 'Order "x" $$ ; --',
            jsonb_build_object('select', new_row."select"),
            (jsonb_build_object('select', new_row."select", 'new', new_row."new", 'old', new_row."old",
            'Größe', new_row."Größe", 'it''s', new_row."it's")), NULL)
    END FROM (SELECT NULL::integer AS "select", NULL::text AS "new", NULL::text AS "old",
        NULL::integer AS "Größe", NULL::text AS "it's") AS absent, LATERAL
        (SELECT "select", "new", "old", "Größe", "it's", changelane_new AS changelane_row
            FROM changelane_new) AS new_row
    WHERE (new_row."Größe" > 1 and new_row."new" is distinct from (CASE WHEN false THEN new_row."old" END)
        and new_row."it's" <> '$$') IS TRUE;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane.headers('{"route": "orders"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."orders_insert_e0730411"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_insert_e0730411"() IS
    'changelane:1 project=golden route=orders spec=1277f3b97387 live=704a8428e045 queues=events';
-- An expression that does not fit the table fails here, instead of in the application's writes.
DO $changelane$
BEGIN
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL jit = off;
    PERFORM FROM (SELECT (NULL::"My Schema"."Order ""x"" $$ ; --").*) AS new_row
    WHERE false AND num_nulls((new_row."Größe" > 1 and new_row."new" is distinct
        from (CASE WHEN false THEN new_row."old" END) and new_row."it's" <> '$$') IS TRUE) = 0;
END
$changelane$;
CREATE OR REPLACE TRIGGER "!orders_insert_e0730411" AFTER INSERT ON "My Schema"."Order ""x"" $$ ; --"
    REFERENCING NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."orders_insert_e0730411"();
CALL changelane.mark_trigger('!orders_insert_e0730411', '"My Schema"."Order ""x"" $$ ; --"',
    'changelane:1 project=golden route=orders spec=1277f3b97387 live=2860a949dbbc');

CREATE OR REPLACE FUNCTION changelane."orders_update_e0730411"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = off
AS $changelane$ #variable_conflict use_column
DECLARE
    changelane_rows integer; changelane_changes refcursor;
BEGIN
    PERFORM FROM changelane_new LIMIT 2; -- no row, one, or more?
    GET DIAGNOSTICS changelane_rows = ROW_COUNT;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF changelane_rows = 1 THEN
        PERFORM FROM (SELECT side.* FROM (SELECT NULL::integer AS "select", NULL::text AS "new",
            NULL::text AS "old", NULL::integer AS "Größe", NULL::text AS "it's") AS absent, LATERAL
            (SELECT "select", "new", "old", "Größe", "it's", changelane_old AS changelane_row
                FROM changelane_old) AS side
        ) AS old_row, (SELECT side.* FROM (SELECT NULL::integer AS "select", NULL::text AS "new",
            NULL::text AS "old", NULL::integer AS "Größe", NULL::text AS "it's") AS absent, LATERAL
            (SELECT "select", "new", "old", "Größe", "it's", changelane_new AS changelane_row
                FROM changelane_new) AS side
        ) AS new_row
        WHERE (ROW(old_row."new")::record *<> ROW(new_row."new")::record
            OR ROW(old_row."it's")::record *<> ROW(new_row."it's")::record)
            AND (new_row."Größe" > 1 and new_row."new" is distinct from old_row."old"
                and new_row."it's" <> '$$') IS TRUE;
        IF NOT FOUND THEN RETURN NULL; END IF;
    END IF;
    IF changelane_rows = 1 THEN
        PERFORM pgmq.send('events', changelane.message('update', 'My Schema', 'Order "x" $$ ; --',
            jsonb_build_object('select', new_row."select"),
            (jsonb_build_object('select', new_row."select", 'new', new_row."new", 'old', new_row."old",
            'Größe', new_row."Größe", 'it''s', new_row."it's")), (
                SELECT coalesce(jsonb_object_agg(name, was -> name), '{}')
                FROM (
                    SELECT was, become, jsonb_object_keys(was) AS name
                    FROM (SELECT (jsonb_build_object('select', old_row."select", 'new', old_row."new", 'old',
                        old_row."old", 'Größe', old_row."Größe", 'it''s', old_row."it's")) AS was,
                        (jsonb_build_object('select', new_row."select", 'new', new_row."new", 'old',
                        new_row."old", 'Größe', new_row."Größe", 'it''s',
                        new_row."it's")) AS become OFFSET 0) AS rows
                ) AS listed
                WHERE ROW(become -> name)::record *<> ROW(was -> name)::record
            )), changelane.headers('{"route": "orders"}'), clock_timestamp())
        FROM (SELECT side.* FROM (SELECT NULL::integer AS "select", NULL::text AS "new", NULL::text AS "old",
            NULL::integer AS "Größe", NULL::text AS "it's") AS absent, LATERAL
            (SELECT "select", "new", "old", "Größe", "it's", changelane_old AS changelane_row
                FROM changelane_old) AS side
        ) AS old_row, (SELECT side.* FROM (SELECT NULL::integer AS "select", NULL::text AS "new",
            NULL::text AS "old", NULL::integer AS "Größe", NULL::text AS "it's") AS absent, LATERAL
            (SELECT "select", "new", "old", "Größe", "it's", changelane_new AS changelane_row
                FROM changelane_new) AS side
        ) AS new_row
        WHERE CASE WHEN greatest(pg_column_size(old_row."new"), pg_column_size(old_row."old"),
            pg_column_size(old_row."it's"), pg_column_size(new_row."new"), pg_column_size(new_row."old"),
            pg_column_size(new_row."it's")) > 21845
                THEN false ELSE (ROW(old_row."new")::record *<> ROW(new_row."new")::record
                    OR ROW(old_row."it's")::record *<> ROW(new_row."it's")::record)
                AND (new_row."Größe" > 1 and new_row."new" is distinct from old_row."old"
                    and new_row."it's" <> '$$') IS TRUE END;
        IF FOUND THEN RETURN NULL; END IF;
        PERFORM FROM (SELECT NULL::text AS "new", NULL::text AS "old", NULL::text AS "it's") AS absent,
            LATERAL (
            SELECT "new", "old", "it's", changelane_old AS changelane_row FROM changelane_old UNION ALL
            SELECT "new", "old", "it's", changelane_new AS changelane_row FROM changelane_new) AS changed
        WHERE greatest(pg_column_size(changed."new"), pg_column_size(changed."old"),
            pg_column_size(changed."it's")) > 21845;
        IF NOT FOUND THEN RETURN NULL; END IF; -- the row is not wanted
    END IF;
    -- Both sides hold the rows in one order, so row numbers pair them, even where a key changed.
    OPEN changelane_changes FOR SELECT made.message
        FROM (SELECT NULL::integer AS "select", NULL::text AS "new", NULL::text AS "old",
            NULL::integer AS "Größe", NULL::text AS "it's") AS absent, LATERAL (
            SELECT CASE WHEN greatest(pg_column_size(old_row."new"), pg_column_size(old_row."old"),
                pg_column_size(old_row."it's"), pg_column_size(new_row."new"), pg_column_size(new_row."old"),
                pg_column_size(new_row."it's")) > 21845
                AND changelane.measure(ROW(old_row."new")) + changelane.measure(ROW(old_row."old"))
                    + changelane.measure(ROW(old_row."it's")) + changelane.measure(ROW(new_row."new"))
                    + changelane.measure(ROW(new_row."old"))
                    + changelane.measure(ROW(new_row."it's")) > 16777216 /* 16 MB */
                THEN changelane.key_only('update', 'My Schema', 'Order "x" $$ ; --',
                    jsonb_build_object('select', new_row."select"),
                    jsonb_build_object('select', old_row."select"))
                ELSE changelane.message('update', 'My Schema', 'Order "x" $$ ; --',
                    jsonb_build_object('select', new_row."select"),
                    (jsonb_build_object('select', new_row."select", 'new', new_row."new", 'old',
                    new_row."old", 'Größe', new_row."Größe", 'it''s', new_row."it's")), (
                    SELECT coalesce(jsonb_object_agg(name, was -> name), '{}')
                    FROM (
                        SELECT was, become, jsonb_object_keys(was) AS name
                        FROM (SELECT (jsonb_build_object('select', old_row."select", 'new', old_row."new",
                            'old', old_row."old", 'Größe', old_row."Größe", 'it''s', old_row."it's")) AS was,
                            (jsonb_build_object('select', new_row."select", 'new', new_row."new", 'old',
                            new_row."old", 'Größe', new_row."Größe", 'it''s',
                            new_row."it's")) AS become OFFSET 0) AS rows
                    ) AS listed
                    WHERE ROW(become -> name)::record *<> ROW(was -> name)::record
                ))
            END AS message FROM (SELECT row_number() OVER () AS changelane_number, "select", "new", "old",
                "Größe", "it's", changelane_old AS changelane_row FROM changelane_old) AS old_row
            FULL JOIN (SELECT row_number() OVER () AS changelane_number, "select", "new", "old", "Größe",
                "it's", changelane_new AS changelane_row
                FROM changelane_new) AS new_row USING (changelane_number)
            WHERE (ROW(old_row."new")::record *<> ROW(new_row."new")::record
                OR ROW(old_row."it's")::record *<> ROW(new_row."it's")::record)
                AND (new_row."Größe" > 1 and new_row."new" is distinct from old_row."old"
                    and new_row."it's" <> '$$') IS TRUE) AS made;
    PERFORM changelane.send_all(changelane_changes, '{events}', changelane.headers('{"route": "orders"}'));
    RETURN NULL;
END $changelane$;
REVOKE ALL ON FUNCTION changelane."orders_update_e0730411"() FROM PUBLIC;
COMMENT ON FUNCTION changelane."orders_update_e0730411"() IS
    'changelane:1 project=golden route=orders spec=6dc3cf545ba6 live=fc0c02c573d4 queues=events';
-- An expression that does not fit the table fails here, instead of in the application's writes.
DO $changelane$
BEGIN
    SET LOCAL search_path = pg_catalog, pg_temp;
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL jit = off;
    PERFORM FROM (SELECT (NULL::"My Schema"."Order ""x"" $$ ; --").*) AS old_row,
        (SELECT (NULL::"My Schema"."Order ""x"" $$ ; --").*) AS new_row
    WHERE false AND num_nulls((new_row."Größe" > 1 and new_row."new" is distinct from old_row."old"
        and new_row."it's" <> '$$') IS TRUE) = 0;
END
$changelane$;
CREATE OR REPLACE TRIGGER "!orders_update_e0730411" AFTER UPDATE ON "My Schema"."Order ""x"" $$ ; --"
    REFERENCING OLD TABLE AS changelane_old NEW TABLE AS changelane_new FOR EACH STATEMENT
    EXECUTE FUNCTION changelane."orders_update_e0730411"();
CALL changelane.mark_trigger('!orders_update_e0730411', '"My Schema"."Order ""x"" $$ ; --"',
    'changelane:1 project=golden route=orders spec=6dc3cf545ba6 live=c90b56d78655');
