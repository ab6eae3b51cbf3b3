-- Workers count their own claims from the second on. Earlier reads by others count as one claim at most.
CASE WHEN held.read_ct = 0 THEN held.headers ELSE
        CASE jsonb_typeof(held.headers) WHEN 'object' THEN held.headers ELSE '{}'::jsonb END
        || jsonb_build_object('changelane',
            CASE jsonb_typeof(held.headers -> 'changelane')
                WHEN 'object' THEN held.headers -> 'changelane' ELSE '{}'::jsonb
            END
            || jsonb_build_object('claims', CASE jsonb_typeof(held.headers -> 'changelane' -> 'claims')
                WHEN 'number' THEN
                    least(greatest((held.headers -> 'changelane' ->> 'claims')::numeric, 0), 1000000)::int + 1
                ELSE 2
            END))
    END
