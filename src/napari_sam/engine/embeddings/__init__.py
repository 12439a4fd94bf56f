"""Embeddings in memory and on disk, and those made ahead of the user."""
