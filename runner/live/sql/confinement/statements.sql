-- All statements run in one call, so one that changes this function has no effect on the call. Deferred
-- constraints and triggers run in it too, so that they run as its owner.
CREATE FUNCTION pg_temp.changelane_statements(statements text[]) RETURNS bigint[]
    LANGUAGE plpgsql SECURITY DEFINER
    AS $function$
DECLARE
    statement text;
    affected bigint;
    counts bigint[] := '{}';
BEGIN
    FOREACH statement IN ARRAY statements LOOP
        EXECUTE statement;
        GET DIAGNOSTICS affected = ROW_COUNT;
        counts := counts || affected;
    END LOOP;
    SET CONSTRAINTS ALL IMMEDIATE;
    RETURN counts;
END
$function$
