DO $$
DECLARE
    expressions text;
    broken jsonb := '{}';
BEGIN
    FOR expressions IN SELECT jsonb_array_elements_text(current_setting('changelane.checks')::jsonb)
    LOOP
        BEGIN
            EXECUTE 'SELECT ' || expressions;
        EXCEPTION
            -- An object that this role may not see, or that is locked just now, does not count as broken.
            WHEN insufficient_privilege OR lock_not_available THEN NULL;
            WHEN others THEN broken := broken || jsonb_build_object(expressions, SQLERRM);
        END;
    END LOOP;
    PERFORM set_config('changelane.broken', broken::text, true);
END
$$
