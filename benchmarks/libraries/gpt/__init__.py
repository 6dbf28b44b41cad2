"""GPT-2 in each of the libraries, on token ids."""
