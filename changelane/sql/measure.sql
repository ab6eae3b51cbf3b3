-- How many bytes the text of a row takes. Postgres cannot make the text of every row that it holds: more than 1 GB, then.
DO $changelane$
BEGIN
    IF pg_catalog.to_regprocedure('changelane.measure(record)') IS NULL THEN
        CREATE FUNCTION changelane.measure(value record) RETURNS bigint
            LANGUAGE plpgsql STABLE
            AS $measure$
        BEGIN
            RETURN pg_catalog.octet_length(value::pg_catalog.text);
        EXCEPTION WHEN OTHERS THEN
            RETURN 1073741824;
        END
        $measure$;
    END IF;
END
$changelane$;
