"""Benchmarks: ``python -m benchmarks.run NAME`` measures and writes rows, ``python -m benchmarks.table`` renders them."""
