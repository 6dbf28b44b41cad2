"""BERT in each of the libraries, on texts."""
