"""Tokens say what they were made to say, until they expire, and only here."""

from pathlib import Path

import jwt
import pytest

from api.denials import NotSignedIn
from api.tokens import SESSION_SECONDS, Can, Signer, Token, secret_in
from pipeline.access import Scope
from pipeline.domain import MeetingId, ParticipantId
from pipeline.errors import InvalidSetting

SECRET = b"s" * 64
ANNE = Token(MeetingId("m"), frozenset({Can.READ, Can.PUBLISH}), ParticipantId("anne"), "Anne --> <b>")
READER = Token(MeetingId("m"), frozenset({Can.READ}))


class Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("token", [ANNE, READER])
def test_a_token_is_read_as_it_was_signed(token: Token) -> None:
    signer = Signer(SECRET, 60.0)
    assert signer.read_token(signer.token(token)[0]) == token


def test_a_server_has_a_name_of_its_own_that_does_not_tell_its_secret() -> None:
    name = Signer(SECRET, 60.0).name
    assert name == Signer(SECRET, 1.0).name != Signer(b"t" * 64, 60.0).name
    assert SECRET.decode()[:4] not in name


def test_a_token_expires_when_it_says() -> None:
    clock = Clock()
    signer = Signer(SECRET, 60.0, clock)
    text, expires_at = signer.token(ANNE)
    assert expires_at == 1060.0
    clock.now = 1059.9
    signer.read_token(text)
    clock.now = 1060.0
    with pytest.raises(NotSignedIn, match="expired"):
        signer.read_token(text)


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "a.b.c",
        jwt.encode({"meeting": "m", "can": ["read"], "exp": 9e9, "aud": "meeting"}, b"t" * 64, algorithm="HS256"),
        jwt.encode({"meeting": "m", "can": ["read"], "exp": 9e9, "aud": "meeting"}, None, algorithm="none"),
        jwt.encode({"meeting": "m", "can": ["read"], "exp": 9e9, "aud": "page"}, SECRET, algorithm="HS256"),
        jwt.encode({"meeting": "m", "can": ["read"], "aud": "meeting"}, SECRET, algorithm="HS256"),
    ],
)
def test_a_token_that_was_not_signed_here_for_this_is_refused(forged: str) -> None:
    with pytest.raises(NotSignedIn, match="not one of this server's") as refused:
        Signer(SECRET, 60.0, Clock()).read_token(forged)
    assert refused.value.given


def test_a_session_is_no_token_and_a_token_no_session() -> None:
    signer = Signer(SECRET, 60.0)
    with pytest.raises(NotSignedIn):
        signer.read_token(signer.new_session(frozenset({Scope.READ}), None))
    with pytest.raises(NotSignedIn):
        signer.read_session(signer.token(ANNE)[0])


def test_every_session_has_a_csrf_token_of_its_own() -> None:
    clock = Clock()
    signer = Signer(SECRET, 60.0, clock)
    one, other = (signer.read_session(signer.new_session(frozenset({Scope.READ}), "k")) for _ in range(2))
    assert one.csrf != other.csrf
    assert (one.scopes, one.key, one.expires_at) == (frozenset({Scope.READ}), "k", 1000.0 + SESSION_SECONDS)


def test_the_secret_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    secret = secret_in(home)
    assert secret_in(home) == secret
    assert len(secret) >= 64
    assert (home / "secret").stat().st_mode & 0o777 == 0o600


def test_a_secret_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    secret_in(tmp_path)
    (tmp_path / "secret").chmod(0o644)
    secret_in(tmp_path)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_secret_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidSetting, match="GREFFIER_HOME"):
        secret_in(tmp_path / "file")
    (tmp_path / "secret").write_text("short")
    with pytest.raises(InvalidSetting, match="too short"):
        secret_in(tmp_path)
