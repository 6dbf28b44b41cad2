"""One module per shipped preset: the run that made it."""
