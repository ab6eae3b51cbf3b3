strpos(lower(coalesce(headers -> 'changelane' ->> 'error', headers -> 'dead_letter' ->> 'error')), lower({error})) > 0
