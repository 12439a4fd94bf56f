"""The evaluation protocol, models and classical tools compared by it, and their report."""
