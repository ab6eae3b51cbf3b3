left(encode(sha256(convert_to(jsonb_build_array(
    policy.polname, policy.polcmd::text, policy.polpermissive, 0 = ANY (policy.polroles),
    ARRAY(
        SELECT rolname FROM pg_catalog.pg_roles
        WHERE oid = ANY (policy.polroles)
        ORDER BY rolname COLLATE "C"
    ),
    pg_get_expr(policy.polqual, policy.polrelid),
    pg_get_expr(policy.polwithcheck, policy.polrelid)
)::text, 'UTF8')), 'hex'), 12)
