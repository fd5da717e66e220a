"""Measures of similarity, one family a file, and what a score of two representations is worth."""
