-- Messages in the default partition, sent when their time had no partition. pg_partman cannot make a
-- partition for a time while the default partition holds messages of it.
SELECT {schema}.partition_data_time({table}, p_batch_count := 100, p_analyze := false)
