-- Keys of which the consumer that merges knows another state than the table has.
SELECT 'merged', format('key %s: %s in the table, %s told last', keys.id, merged.seq, told.seq)
FROM torture.keys
LEFT JOIN torture.merged ON merged.id = keys.id
LEFT JOIN LATERAL (
    SELECT seq, gone FROM torture.states WHERE states.id = keys.id ORDER BY n DESC LIMIT 1
) AS told ON true
WHERE keys.queue = 'merged' AND merged.seq IS DISTINCT FROM CASE WHEN NOT told.gone THEN told.seq END
