"""Buses between the parts of a meeting, in memory or through a server."""
