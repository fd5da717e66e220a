"""Similarity of representations: measures, all pairs of them, and what the scores are worth."""
