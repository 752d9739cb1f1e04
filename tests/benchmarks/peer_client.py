"""Speaks to WhisperLiveKit as a browser would: raw PCM in real time, each answer logged with its time.

Runs in the peers' own environment: ``python peer_client.py ws://127.0.0.1:PORT/asr FILE.wav OUT.jsonl``.
"""

import asyncio
import contextlib
import json
import sys
import time
import wave
from pathlib import Path

import websockets

CHUNK_SECONDS = 0.1
SILENCE_AFTER = 1.0
PATIENCE = 300.0


async def stream(url: str, path: Path, out: Path) -> None:
    with wave.open(str(path), "rb") as file:
        rate, pcm = file.getframerate(), file.readframes(file.getnframes())
    pcm += bytes(round(SILENCE_AFTER * rate) * 2)
    async with websockets.connect(url, max_size=None, ping_timeout=None) as socket:
        with out.open("w", encoding="utf-8") as log:
            begun = time.monotonic()
            reading = asyncio.create_task(_read(socket, log, begun))
            step = round(CHUNK_SECONDS * rate) * 2
            for number, at in enumerate(range(0, len(pcm), step), start=1):
                await asyncio.sleep(max(0.0, begun + number * CHUNK_SECONDS - time.monotonic()))
                await socket.send(pcm[at : at + step])
            await socket.send(b"")  # the end, in its protocol
            with contextlib.suppress(TimeoutError):  # it fell that far behind; what it said until now is its result
                await asyncio.wait_for(reading, PATIENCE)


async def _read(socket: websockets.ClientConnection, log, begun: float) -> None:
    async for message in socket:
        said = json.loads(message)
        if said.get("type") == "ready_to_stop":
            return
        if "lines" in said:
            log.write(json.dumps({"at": time.monotonic() - begun} | said, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    asyncio.run(stream(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
