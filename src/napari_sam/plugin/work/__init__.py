"""The worker threads, and what runs in them."""
