"""The meaning of Greffier: captions, transcripts and minutes of live meetings."""
