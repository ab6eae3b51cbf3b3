DO $$
DECLARE
    found record;
    broken jsonb := '{}';
BEGIN
    FOR found IN SELECT key, value FROM jsonb_each_text(current_setting('changelane.checks')::jsonb)
    LOOP
        BEGIN
            EXECUTE 'SELECT ' || found.value;
        EXCEPTION
            -- An object that this role may not see, or that is locked just now, does not count as broken.
            WHEN insufficient_privilege OR lock_not_available THEN NULL;
            WHEN others THEN broken := broken || jsonb_build_object(found.key, SQLERRM);
        END;
    END LOOP;
    PERFORM set_config('changelane.broken', broken::text, true);
END
$$
