"""``livekit-plugins-kyutai-lasuite`` as Visio's agent has it: ``plugin_client.py URL KEY FILE.wav``.

Run by the Python of the environment that .ci/services makes of plugin.txt. Speaks the file at its own pace, two seconds
of silence after it, and prints a line of JSON for each transcript: its text and when it started.
"""

import asyncio
import json
import sys
import wave

import aiohttp
from lasuite.plugins import kyutai
from livekit import rtc

_BLOCK_SECONDS = 0.02
_AFTER = 2.0


async def main(url: str, key: str, path: str) -> None:
    with wave.open(path) as file:
        rate, sound = file.getframerate(), file.readframes(file.getnframes())
    sound += bytes(round(_AFTER * rate) * 2)
    async with aiohttp.ClientSession() as session:
        stream = kyutai.STT(api_key=key, base_url=url, http_session=session).stream()
        reading = asyncio.create_task(_read(stream))
        size = round(rate * _BLOCK_SECONDS) * 2
        for begin in range(0, len(sound), size):
            block = sound[begin : begin + size]
            stream.push_frame(rtc.AudioFrame(block, rate, 1, len(block) // 2))
            await asyncio.sleep(_BLOCK_SECONDS)
        await asyncio.sleep(_AFTER)
        await stream.aclose()
        await asyncio.wait([reading])


async def _read(stream: kyutai.stt.SpeechStream) -> None:
    async for event in stream:
        if event.type.value == "final_transcript":
            said = event.alternatives[0]
            print(json.dumps({"text": said.text, "start": said.start_time}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
