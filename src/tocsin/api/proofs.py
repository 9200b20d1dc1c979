"""`/api/v1/alerts/{id}/verify` and `/bundle`: a verdict derived anew, and packed for others."""

import asyncio
import re
from functools import cache
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath

from tocsin.api.access import needs
from tocsin.app import System
from tocsin.model import KeyScope
from tocsin.proof import Deriver, contents_of, open_signer, pack

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_encoder = msgspec.json.Encoder()


@cache
def _deriver() -> Deriver:
    return Deriver()


@get(
    "/{alert_id:str}/verify",
    guards=[needs(KeyScope.READ)],
    summary="Derive a verdict anew",
    description="Works the stored verdict out anew from what it was made from and compares the "
    "bytes. `outcome` is reproduced, differs (then `differences` say where), other_version (made "
    "by weights that this version does not have), model_missing or untriaged.",
)
async def verify_alert(request: Request[Any, Any, Any], alert_id: FromPath[str]) -> Response[bytes]:
    """One comparison."""
    system: System = request.app.state.system
    contents = await contents_of(system.store.proofs, alert_id)
    proof = await asyncio.to_thread(_deriver().prove, contents.judged, contents.learned)
    return Response(_encoder.encode(proof), media_type="application/json")


@get(
    "/{alert_id:str}/bundle",
    guards=[needs(KeyScope.READ)],
    summary="Download a signed evidence bundle",
    description="A zip with everything that the verdict was made from, signed with this "
    "installation's key; `tocsin verify --bundle FILE` checks it without a database.",
)
async def read_bundle(request: Request[Any, Any, Any], alert_id: FromPath[str]) -> Response[bytes]:
    """One bundle."""
    system: System = request.app.state.system
    contents = await contents_of(system.store.proofs, alert_id)
    signer = await asyncio.to_thread(open_signer, system.settings)
    content = await asyncio.to_thread(pack, contents, signer)
    name = "tocsin-" + _UNSAFE.sub("_", alert_id)[:80] + ".zip"
    return Response(
        content,
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
