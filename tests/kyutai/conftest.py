"""What tests of Kyutai share: the real engine behind the dialect."""

from tests.api.conftest import loaded

__all__ = ["loaded"]
