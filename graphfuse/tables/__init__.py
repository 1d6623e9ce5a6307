"""A user's own table, read, described in TOML, checked, and turned into samples; no code is needed.

``read`` reads a file into rows, ``spec`` says in TOML what its columns are, ``infer`` guesses that, ``data`` finds
targets and splits, ``check`` looks for whatever would stop training or mislead, ``samples`` encodes.
"""
