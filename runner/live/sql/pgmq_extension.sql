SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'pgmq';
