"""What is said of a moshi-server: whether it lets us in, and what it tells of itself."""

import json
from http import HTTPStatus

import msgpack
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from models.kyutai.look import look_at
from models.kyutai.server import ServerSettings

TOLD = {
    "/api/build_info": {"git_describe": "VERGEN_IDEMPOTENT_OUTPUT", "build_timestamp": "2026-11-26", "rustc": "1.90"},
    "/api/modules_info": [
        {"type": "py", "path": "/api/tts", "used_slots": "1", "total_slots": "8"},
        {"type": "batched_asr", "path": "/api/asr-streaming", "used_slots": "3", "total_slots": "64"},
    ],
}


async def test_it_says_how_the_server_was_built_and_how_many_of_its_slots_are_in_use() -> None:
    def answer(socket: ServerConnection, request: Request) -> Response | None:
        told = TOLD.get(request.path)
        return None if told is None else socket.respond(HTTPStatus.OK, json.dumps(told))

    async def be_ready(socket: ServerConnection) -> None:
        await socket.send(msgpack.packb({"type": "Ready"}))
        await socket.wait_closed()

    async with serve(be_ready, "127.0.0.1", 0, process_request=answer) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/asr-streaming"
        said = await look_at(url, ServerSettings((url,), "key"))
    assert said == f"{url} answers and accepts the key, built as 2026-11-26, 3 of 64 slots in use"
