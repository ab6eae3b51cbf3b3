-- Every column of schema app that a statement can write, with its base type and the values that it may hold.
SELECT class.oid::regclass::text AS table, quote_ident(attribute.attname) AS column, base.typname AS base,
    base.typtype AS kind, type.typname AS type,
    ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = base.oid ORDER BY enumsortorder) AS labels,
    (SELECT count(*) FROM pg_attribute AS field
     WHERE field.attrelid = base.typrelid AND field.attnum > 0 AND NOT field.attisdropped)::int AS fields,
    EXISTS (
        SELECT FROM pg_index WHERE indrelid = class.oid AND indisunique AND attribute.attnum = ANY (indkey)
    ) AS key
FROM pg_class AS class
JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid AND attnum > 0 AND NOT attisdropped
JOIN pg_type AS type ON type.oid = attribute.atttypid
JOIN pg_type AS base ON base.oid = CASE WHEN type.typtype = 'd' THEN type.typbasetype ELSE type.oid END
WHERE class.relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
    AND attgenerated = '' AND attidentity = ''
ORDER BY class.relname, attnum
