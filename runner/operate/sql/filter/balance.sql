-- The same expression between brackets of another kind. One that closed the parenthesis which holds it in the
-- query would have to close this bracket with the same character, and is a syntax error here.
SELECT ARRAY[
{where}
]
FROM (SELECT msg_id, enqueued_at, message, headers FROM {queue}) AS letter
WHERE false
