-- How many bytes the JSON of a row takes. Where Postgres cannot make it: 1 GB.
DO $changelane$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_proc
        WHERE oid = pg_catalog.to_regprocedure('changelane.measure(record)')
            AND (prosrc ~ 'to_jsonb' AND proconfig IS NOT NULL OR NOT pg_catalog.pg_has_role(proowner, 'USAGE'))
    ) THEN
        CREATE OR REPLACE FUNCTION changelane.measure(value record) RETURNS bigint
            LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
            AS $measure$
        DECLARE
            size bigint;
        BEGIN
            -- Text takes less to make, and tells of the largest rows.
            size := pg_catalog.octet_length(value::pg_catalog.text);
            IF size > 67108864 THEN
                RETURN size;
            END IF;
            RETURN pg_catalog.octet_length(pg_catalog.to_jsonb(value)::pg_catalog.text);
        EXCEPTION WHEN OTHERS THEN
            RETURN 1073741824;
        END
        $measure$;
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_proc
        WHERE oid = pg_catalog.to_regprocedure('changelane.digest(text)')
            AND (proconfig IS NOT NULL OR NOT pg_catalog.pg_has_role(proowner, 'USAGE'))
    ) THEN
        -- The hash of a text, as UTF8 where all its characters have a place there.
        CREATE OR REPLACE FUNCTION changelane.digest(value text) RETURNS text
            LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
            AS $digest$
        BEGIN
            RETURN pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(value, 'UTF8')), 'hex');
        EXCEPTION WHEN untranslatable_character OR character_not_in_repertoire THEN
            RETURN pg_catalog.encode(
                pg_catalog.sha256(pg_catalog.convert_to(value, pg_catalog.getdatabaseencoding())), 'hex'
            );
        END
        $digest$;
    END IF;
END
$changelane$;
