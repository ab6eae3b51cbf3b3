SELECT coalesce(meta.queue_name, substr(class.relname, 3))::text AS queue,
       class.relname LIKE 'a\_%' AS archive,
       policy.polname::text AS name,
       CASE policy.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update' WHEN 'd' THEN 'delete'
           ELSE 'all' END AS command,
       policy.polpermissive AS permissive,
       ARRAY(
           SELECT CASE oid WHEN 0 THEN '' ELSE pg_get_userbyid(oid)::text END FROM unnest(policy.polroles) AS oid
       ) AS roles,
       coalesce(pg_get_expr(policy.polqual, policy.polrelid), 'true') = 'true'
           AND coalesce(pg_get_expr(policy.polwithcheck, policy.polrelid), 'true') = 'true' AS unlimited,
       {live} AS live,
       obj_description(policy.oid, 'pg_policy') AS comment
FROM pg_policy AS policy
JOIN pg_class AS class ON class.oid = policy.polrelid
LEFT JOIN pgmq.meta ON lower(meta.queue_name) = substr(class.relname, 3)
WHERE class.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pgmq')
    AND (class.relname LIKE 'q\_%' OR class.relname LIKE 'a\_%')
ORDER BY class.relname, policy.polname
