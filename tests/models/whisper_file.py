"""Writes the smallest folder that looks like a Whisper model of CTranslate2."""

import json
import struct
from pathlib import Path


def _string(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def _variable(name: str, shape: tuple[int, ...], content: bytes) -> bytes:
    head = _string(name) + struct.pack("<B", len(shape)) + struct.pack(f"<{len(shape)}I", *shape)
    return head + struct.pack("<BI", 0, len(content)) + content


def write_whisper_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    variables = [_variable("encoder/weight", (2, 3), bytes(24)), _variable("scale", (), bytes(4))]
    aliases = [("decoder/weight", "encoder/weight")]
    model = struct.pack("<I", 6) + _string("WhisperSpec") + struct.pack("<II", 3, len(variables)) + b"".join(variables)
    model += struct.pack("<I", len(aliases)) + b"".join(_string(name) for pair in aliases for name in pair)
    (folder / "model.bin").write_bytes(model)
    (folder / "config.json").write_text(json.dumps({"alignment_heads": [[0, 1]]}))
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0"}))
    (folder / "vocabulary.json").write_text(json.dumps(["!", "?"]))
    return folder
