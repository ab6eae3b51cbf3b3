-- Subscriptions of this database that write to a captured table, or to a partition of one.
SELECT subscription.subname::text AS name,
       namespace.nspname::text AS schema,
       class.relname::text AS table
FROM pg_catalog.pg_subscription_rel AS rel
JOIN pg_catalog.pg_subscription AS subscription ON subscription.oid = rel.srsubid
CROSS JOIN LATERAL (
    SELECT rel.srrelid AS relid
    UNION
    SELECT relid FROM pg_catalog.pg_partition_ancestors(rel.srrelid)
) AS applied
JOIN pg_catalog.pg_class AS class ON class.oid = applied.relid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
JOIN unnest(%(schemas)s::text[], %(tables)s::text[]) AS captured(schema, name)
    ON captured.schema = namespace.nspname AND captured.name = class.relname
GROUP BY subscription.subname, namespace.nspname, class.relname
ORDER BY subscription.subname, namespace.nspname, class.relname
