-- Queues whose row security shows the role no message, so that they look empty.
SELECT class.relname::text
FROM pg_class AS class
WHERE class.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq')
    AND class.relname = ANY (%(tables)s)
    AND row_security_active(class.oid)
    AND NOT EXISTS (
        SELECT FROM pg_policy AS policy, unnest(policy.polroles) AS holder
        WHERE policy.polrelid = class.oid AND policy.polcmd IN ('r', '*') AND policy.polpermissive
            AND CASE holder WHEN 0 THEN true ELSE pg_has_role(holder, 'USAGE') END
    )
ORDER BY 1
