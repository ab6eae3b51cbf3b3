SELECT {schema}.run_maintenance({table}, p_analyze := false)
