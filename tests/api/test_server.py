"""How the server is set up."""

from pathlib import Path

from api.server import HouseServer
from tests.houses import scripted_house

MOST_BUFFERED = 6 * 1024**2
"""Bytes of a connection that Linux holds where nobody changed ``tcp_rmem``."""
SLOWEST_SOUND = 2 * 16_000


async def test_an_answer_to_a_ping_may_stand_behind_all_the_sound_that_a_client_sent_ahead(tmp_path: Path) -> None:
    async with scripted_house(tmp_path) as house:
        server = HouseServer(house, "http://localhost", None, opens=False)
    assert server.config.ws_ping_timeout is not None
    assert server.config.ws_ping_timeout > MOST_BUFFERED / SLOWEST_SOUND
