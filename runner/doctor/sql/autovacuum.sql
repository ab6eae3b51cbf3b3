SELECT current_setting('autovacuum')::boolean, current_setting('track_counts')::boolean
