-- What a redrive does, with another message. The header names the letter that was edited.
WITH gone AS (
    DELETE FROM {queue} WHERE msg_id = %(id)s RETURNING msg_id, headers
)
SELECT pgmq.send(
    %(source)s::text,
    %(message)s::jsonb,
    CASE jsonb_typeof(headers) WHEN 'object' THEN headers - 'dead_letter' - 'changelane' ELSE '{{}}' END
        || jsonb_build_object('edited_from', msg_id)
)
FROM gone
