"""Benchmarks: typed queries beside plain psycopg, as ratios in one run (``make bench``)."""
