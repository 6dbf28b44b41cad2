"""Runs that are killed at random moments and run again, beside one that was not."""
