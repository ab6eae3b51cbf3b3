"""The worker: it claims messages from queues, runs handlers on them, and settles each message's outcome."""
