"""Parts that several tests share: databases, workers, a dashboard, random tables, other servers."""
