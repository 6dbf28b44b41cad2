"""The LSTM language model in each of the libraries, on token ids."""
