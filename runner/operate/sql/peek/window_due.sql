SELECT * FROM (
            SELECT * FROM {table} WHERE vt > statement_timestamp() ORDER BY vt {soonest} LIMIT {look}
        ) AS soon
        WHERE msg_id {beyond} {after}
