-- A message that is leased has no mark of a message that was given back, whoever wrote its headers.
CASE jsonb_typeof(held.headers -> 'changelane') WHEN 'object'
    THEN ({claimed}) #- '{{changelane,seen}}' ELSE {claimed} END
