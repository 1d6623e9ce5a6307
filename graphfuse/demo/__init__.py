"""The built-in demonstration: an atlas of countries and territories, asked about in words and pictures."""
