left(encode(sha256(convert_to(jsonb_build_array(
    proc.proname, pg_get_function_arguments(proc.oid), pg_get_function_result(proc.oid),
    proc.prosrc, proc.prosecdef, proc.provolatile::text, coalesce(proc.proconfig, '{}'),
    pg_get_userbyid(proc.proowner),
    ARRAY(
        SELECT CASE grantee WHEN 0 THEN '' ELSE pg_get_userbyid(grantee)::text END
        FROM aclexplode(coalesce(proc.proacl, acldefault('f', proc.proowner)))
        ORDER BY 1
    )
)::text, 'UTF8')), 'hex'), 12)
