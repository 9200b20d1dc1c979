"""`/api/v1/models`: the registry of learned models, their cards, and which one is live."""

from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK

from tocsin.api.access import actor_of, needs
from tocsin.app import System
from tocsin.evaluation.diagram import Series, reliability_svg
from tocsin.model import KeyScope, Record
from tocsin.store.models import ModelEntry
from tocsin.trial.card import Card

SVG = "image/svg+xml"
_card = msgspec.json.Decoder(Card)
_encoder = msgspec.json.Encoder()


class Models(Record, frozen=True, kw_only=True, omit_defaults=False):
    """All models, newest first, and the version that is live."""

    live: str
    models: tuple[ModelEntry, ...]


class ModelInUse(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What is live now, and what was before."""

    live: str
    before: str


@get(
    "/",
    guards=[needs(KeyScope.READ)],
    summary="List models",
    description="Newest first, with their status and why. `live` is shipped while no learned model "
    "is.",
)
async def list_models(request: Request[Any, Any, Any]) -> Models:
    """The registry."""
    system: System = request.app.state.system
    found = await system.store.models.list_models()
    live = next((entry.version for entry in found if entry.status == "champion"), "shipped")
    return Models(live=live, models=tuple(found))


@get(
    "/{version:str}",
    guards=[needs(KeyScope.READ)],
    summary="Read one model",
    description="Its card (decisions, measures beside those of the champion and of naive "
    "baselines, weights that moved) and the model itself.",
)
async def read_model(request: Request[Any, Any, Any], version: FromPath[str]) -> Response[bytes]:
    """One model, whole."""
    system: System = request.app.state.system
    entry, artifact, card = await system.store.models.find(version)
    body = {**msgspec.structs.asdict(entry), "card": card, "artifact": artifact}
    return Response(_encoder.encode(body), media_type="application/json")


@get(
    "/{version:str}/reliability.svg",
    guards=[needs(KeyScope.READ)],
    summary="See how well a model is calibrated",
    description="The reliability diagram on the decisions held back, beside the champion's.",
    media_type=SVG,
)
async def reliability(request: Request[Any, Any, Any], version: FromPath[str]) -> Response[str]:
    """The reliability diagram."""
    system: System = request.app.state.system
    _, _, card = await system.store.models.find(version)
    return Response(diagram_of(_card.decode(card)), media_type=SVG)


@post(
    "/{version:str}/use",
    guards=[needs(KeyScope.ADMIN)],
    status_code=HTTP_200_OK,
    summary="Put a model live",
    description="Any model of the registry, or shipped for the expert model that comes with "
    "Tocsin. Running workers take it up within seconds; verdicts that were given stay.",
)
async def use_model(request: Request[Any, Any, Any], version: FromPath[str]) -> ModelInUse:
    """Change the champion."""
    system: System = request.app.state.system
    before = await system.store.models.use(version, actor=actor_of(request))
    return ModelInUse(live=version, before=before)


def diagram_of(card: Card) -> str:
    """The reliability diagram of a card."""
    return reliability_svg(
        f"Reliability of {card.version}",
        (
            Series("this model", card.challenger),
            Series(f"champion then ({card.champion_version[:24]})", card.champion),
        ),
    )


router = Router(
    path="/api/v1/models",
    route_handlers=[list_models, read_model, reliability, use_model],
    tags=["models"],
)
