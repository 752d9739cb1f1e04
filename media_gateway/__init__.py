"""Taps that bring the audio of a meeting in, and sinks that take its captions back."""
