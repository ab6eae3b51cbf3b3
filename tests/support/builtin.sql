-- The operators and functions of pg_catalog that an expression may use, and the facts that choose among them.
WITH type AS (
    SELECT oid, typname, typcategory, typispreferred, typtype, typelem,
           typsubscript = 'array_subscript_handler'::regproc AS is_array
    FROM pg_type
    WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'p', 'r', 'm') AND oid < 16384
        AND typname NOT IN ('internal', 'cstring', 'trigger', 'event_trigger', 'language_handler',
            'fdw_handler', 'index_am_handler', 'tsm_handler', 'table_am_handler', 'pg_ddl_command')
),
named AS (
    SELECT type.oid, CASE WHEN is_array THEN element.typname || '[]' ELSE type.typname END AS name
    FROM type
    LEFT JOIN pg_type AS element ON element.oid = type.typelem
    WHERE NOT is_array OR element.typtype IN ('b', 'p', 'r', 'm')
)
SELECT 'type' AS fact, typname || ' ' || typcategory::text || CASE WHEN typispreferred THEN '!' ELSE '' END
    || coalesce(' ' || (
        SELECT subtype.typname FROM pg_range JOIN pg_type AS subtype ON subtype.oid = rngsubtype
        WHERE type.oid IN (rngtypid, rngmultitypid)
    ), '') AS text
FROM type
WHERE NOT is_array
UNION ALL
SELECT 'cast', source.name || ' ' || target.name
FROM pg_cast
JOIN named AS source ON source.oid = castsource
JOIN named AS target ON target.oid = casttarget
WHERE castcontext = 'i' AND castsource <> casttarget
UNION ALL
SELECT 'operator', concat_ws(' ', oprname, leftside.name, rightside.name, result.name)
FROM pg_operator
LEFT JOIN named AS leftside ON leftside.oid = oprleft
JOIN named AS rightside ON rightside.oid = oprright
JOIN named AS result ON result.oid = oprresult
WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprcode <> 0 AND (oprleft = 0 OR leftside.oid IS NOT NULL)
UNION ALL
-- Functions that read and write a type are never called by name.
SELECT 'function', concat_ws(
    ' ', proname, result.name, CASE WHEN provariadic <> 0 THEN '*' END,
    CASE WHEN pronargdefaults > 0 THEN '-' || pronargdefaults END, arguments.names
)
FROM pg_proc
JOIN named AS result ON result.oid = prorettype
CROSS JOIN LATERAL (
    SELECT string_agg(named.name, ' ' ORDER BY position) AS names, count(*) AS given, count(named.oid) AS known
    FROM unnest(proargtypes) WITH ORDINALITY AS argument (oid, position)
    LEFT JOIN named ON named.oid = argument.oid
) AS arguments
WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND given = known
    AND coalesce(obj_description(pg_proc.oid, 'pg_proc'), '') !~ '^I/O'
UNION ALL
SELECT DISTINCT 'aggregate', proname::text
FROM pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind IN ('a', 'w')
UNION ALL
SELECT 'config', cfgname::text FROM pg_ts_config WHERE cfgnamespace = 'pg_catalog'::regnamespace
UNION ALL
SELECT 'dictionary', dictname::text FROM pg_ts_dict WHERE dictnamespace = 'pg_catalog'::regnamespace
