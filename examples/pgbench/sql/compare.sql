(
    SELECT 'source' AS only_in, {columns}
    FROM (SELECT {columns} FROM {source} EXCEPT SELECT {columns} FROM {replica} WHERE NOT deleted) AS missing
    UNION ALL
    SELECT 'replica', {columns}
    FROM (SELECT {columns} FROM {replica} WHERE NOT deleted EXCEPT SELECT {columns} FROM {source}) AS surplus
)
ORDER BY {key}, only_in
