    CROSS JOIN LATERAL (SELECT NULL::timestamptz AS until) AS wait
