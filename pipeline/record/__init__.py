"""The record of a meeting, pure: from what was recognised and corrected to segments and turns in meeting time."""
