CASE
            WHEN vt <= statement_timestamp() THEN 'available'
            WHEN vt > statement_timestamp() + interval '50 years' THEN 'blocked'
            -- Deliveries that came back are noted, as failed or released.
            WHEN read_ct > attempts + released THEN 'leased'
            ELSE 'delayed'
        END
