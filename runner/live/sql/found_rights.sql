SELECT project, queue, role, relation, privilege, "column", grantable,
       role = '' OR EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role) AS there
FROM changelane.found_rights
ORDER BY queue, role, relation, privilege, "column"
