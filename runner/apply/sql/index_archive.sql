CREATE INDEX CONCURRENTLY {index} ON {archive} (archived_at);
