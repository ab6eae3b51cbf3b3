SELECT rolname::text FROM pg_roles WHERE rolbypassrls AND NOT rolsuper
