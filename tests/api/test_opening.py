"""A house opens once in its folder, and leaves it to the next."""

from pathlib import Path

import pytest

from pipeline.errors import InvalidSetting
from tests.houses import scripted_house


async def test_two_servers_never_share_a_folder_and_one_may_follow_the_other(tmp_path: Path) -> None:
    async with scripted_house(tmp_path):
        with pytest.raises(InvalidSetting, match=r"another Greffier serves from .*GREFFIER_HOME"):
            async with scripted_house(tmp_path):
                pytest.fail("it would end what is being said in the first one")
    async with scripted_house(tmp_path) as next_one:
        assert await next_one.store.meetings() == []
