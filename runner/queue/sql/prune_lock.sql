SELECT pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('changelane prune ' || %(queue)s, 0))
