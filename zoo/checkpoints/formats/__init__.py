"""Files of others, of every format, read as tensors by their names; see `opening`."""
