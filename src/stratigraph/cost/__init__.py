"""What a study will take of time, memory and disk, before it is run."""
