"""Training on several devices and processes beside training on one: the same losses."""
