"""Measures captions on recorded speech: ``python -m tests.benchmarks [names...]`` (``make bench``)."""
