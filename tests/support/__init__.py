"""What several tests need: databases, workers, a dashboard, random tables, servers of other kinds."""
