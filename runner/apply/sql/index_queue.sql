CREATE INDEX CONCURRENTLY {index} ON {queue}
    ((hashtextextended(headers->>'x-pgmq-group', 0)), msg_id);
