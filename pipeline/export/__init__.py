"""Transcripts as people and programs read them: cues, WebVTT, SRT, text, JSON, Markdown, and caption events. Pure."""
