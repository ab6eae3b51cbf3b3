-- Roles whose sessions in this database start with session_replication_role other than origin.
SELECT role.rolname::text AS role,
       database.datname::text AS database,
       split_part(setting, '=', 2) AS value
FROM pg_catalog.pg_db_role_setting AS given
CROSS JOIN LATERAL unnest(given.setconfig) AS setting
LEFT JOIN pg_catalog.pg_roles AS role ON role.oid = given.setrole
LEFT JOIN pg_catalog.pg_database AS database ON database.oid = given.setdatabase
WHERE setting LIKE 'session\_replication\_role=%'
    AND (given.setdatabase = 0 OR database.datname = current_database())
    AND split_part(setting, '=', 2) <> 'origin'
UNION ALL
SELECT NULL, NULL, reset_val
FROM pg_catalog.pg_settings
WHERE name = 'session_replication_role' AND reset_val <> 'origin' AND source = 'configuration file'
ORDER BY 1, 2, 3
