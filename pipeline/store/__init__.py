"""Edges that keep: audio until it is recognised, transcripts for good."""
