-- Messages that came when no partition was there for them. Until they have one, none is made for their time.
SELECT {schema}.partition_data_time({table}, p_batch_count := 100, p_analyze := false)
