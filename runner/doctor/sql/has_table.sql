SELECT FROM pg_class WHERE relnamespace = to_regnamespace('pgmq') AND relname = %s
