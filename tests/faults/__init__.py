"""Real processes of the distributed mode, killed, stalled and cut off while real speech is captioned."""
