-- Whether the session's role could make this role the owner of capture functions.
SELECT mine.rolsuper OR mine.rolcreaterole AND NOT coalesce(owner.rolsuper, false)
    OR coalesce(pg_has_role(mine.oid, owner.oid, 'USAGE'), false)
FROM pg_roles AS mine
LEFT JOIN pg_roles AS owner ON owner.rolname = %s
WHERE mine.rolname = current_user
