"""API keys can be shown once, and never again."""

from api.keys import id_of, matches, new_key
from pipeline.access import Scope


def test_a_key_matches_its_text_and_no_other() -> None:
    key, text = new_key("site", {Scope.READ}, 1.0)
    other, _ = new_key("site", {Scope.READ}, 1.0)
    assert matches(key, text)
    assert not matches(other, text)
    assert not matches(key, text[:-1] + ("A" if text[-1] != "A" else "B"))
    assert id_of(text) == key.id


def test_what_is_kept_does_not_hold_the_text() -> None:
    key, text = new_key("site", {Scope.READ}, 1.0)
    secret = text.rpartition(f"{key.id}_")[2]
    assert secret not in repr(key)
    assert secret.endswith(key.ending)
    assert len(secret) == 43


def test_what_is_no_key_is_none() -> None:
    key, text = new_key("site", {Scope.READ}, 1.0)
    for nonsense in ("", "grf_", text + "x", text.upper(), f"grf_{key.id}_é"):
        assert id_of(nonsense) is None
        assert not matches(key, nonsense)
