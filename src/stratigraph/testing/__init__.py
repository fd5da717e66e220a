"""What authors of plug-ins test theirs by: planted studies, whose answers are known."""
