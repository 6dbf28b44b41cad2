"""The encoder-decoder Transformer in each of the libraries, on token ids."""
