"""All pairs of representations: in memory, and out of it, in blocks that can be resumed."""
