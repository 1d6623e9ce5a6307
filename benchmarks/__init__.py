"""Benchmarks: ``python -m benchmarks.run NAME`` writes rows, ``python -m benchmarks.table`` renders them."""
