"""Samples, batches, graphs and the two primitives of message passing; everything else stands on this floor."""
