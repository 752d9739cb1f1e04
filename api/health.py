"""Whether a process lives, and whether it can do its work: for whoever starts and watches it."""

from fastapi import APIRouter, Request, Response, status

from api.shapes import Health, Readiness
from api.vitals import vitals_of

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Is the process alive")
async def alive() -> Health:
    """200 as long as its event loop answers."""
    return Health(status="ok")


@router.get(
    "/readyz",
    summary="Can the process do its work",
    responses={503: {"model": Readiness}},
    response_model_exclude_none=True,
)
async def ready(request: Request, response: Response) -> Readiness:
    """200 when everything that its role needs is there, else 503; and which SFUs it is at hand for.

    A Kyutai server that is away makes nothing unready: ``degraded`` says that others do its work.
    """
    vitals = vitals_of(request)
    found, draining = await vitals.found(), vitals.draining()
    whole = all(found.values()) and not draining
    if not whole:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    said = {"ready": whole, "draining": True if draining else None, **found, **vitals.beside()}
    return Readiness.model_validate(said)
