"""Sessions of pages: sign in with an API key, sign out. On loopback the pages need neither."""

from typing import Annotated

from fastapi import APIRouter, Request, Response, status

from api.access import Grant, Need, needs
from api.house import house_of
from api.shapes import NewSession

router = APIRouter(prefix="/api/v1/session", tags=["pages"])


@router.post("", status_code=status.HTTP_204_NO_CONTENT, summary="Sign in to the pages with an API key")
async def sign_in(request: Request, given: NewSession) -> Response:
    """The answer sets the cookie of the session. JSON only: a form of another site cannot send it."""
    await house_of(request).access.sign_in(request, given.key)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.delete("", status_code=status.HTTP_204_NO_CONTENT, summary="Sign out of the pages")
async def sign_out(request: Request, grant: Annotated[Grant, needs(Need.PAGE)]) -> Response:
    house_of(request).access.sign_out(request)
    return Response(status_code=status.HTTP_204_NO_CONTENT)
