"""The live core: sans-IO. It is fed with what is heard and drained of what to show (ARCHITECTURE.md, the six laws)."""
