-- Runs after the queue is made.
CREATE TRIGGER note_removal AFTER DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION torture.note_removal({name})
