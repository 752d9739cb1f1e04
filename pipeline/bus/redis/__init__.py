"""Buses, leases and who is there, over Redis."""
