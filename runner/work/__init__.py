"""The worker: claims messages from queues, runs handlers over them, and settles what became of them."""
