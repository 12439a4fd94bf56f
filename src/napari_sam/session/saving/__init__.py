"""A session on disk: written as it changes, and read again."""
