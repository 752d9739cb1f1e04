"""The parts of Greffier that run as processes."""

import secrets
from enum import StrEnum


class Role(StrEnum):
    """``SERVE`` does all by itself; any number of each of the others share meetings over Redis and PostgreSQL."""

    SERVE = "serve"
    GATEWAY = "gateway"
    WORKER = "worker"
    API = "api"


def process_name(role: Role) -> str:
    """What a process is called in Redis and in logs; another one is never called so."""
    return f"{role}-{secrets.token_hex(4)}"
