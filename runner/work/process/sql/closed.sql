(SELECT NULL::text AS queue WHERE false) AS nobody
