-- The expression stands in parentheses in the query, and in square brackets here. Text that closes the
-- parenthesis early would have to close this bracket with the same character, which is a syntax error here.
SELECT ARRAY[
{where}
]
FROM (SELECT msg_id, enqueued_at, message, headers FROM {queue}) AS letter
WHERE false
