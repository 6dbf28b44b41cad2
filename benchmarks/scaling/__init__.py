"""What training on several devices costs: measured here, and by arithmetic for large models."""
