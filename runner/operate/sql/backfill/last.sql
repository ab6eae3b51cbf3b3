SELECT jsonb_build_object({pairs})::text
FROM {table} AS source
WHERE {beyond}
ORDER BY {names}
OFFSET {chunk} - 1
LIMIT 1
