"""What an envelope holds on its way over the broker: ids in the body, traces in the headers."""

from collections.abc import Sequence

import msgspec
from aio_pika.abc import AbstractIncomingMessage, HeadersType

from tocsin import logs
from tocsin.traces import HEADER, NONE, Traces, pack, unpack

TRACES = "tocsin-traces"
ID_LIMIT = 128  # characters of an alert's id; what is longer is not ours

log = logs.get("bus")
_ids = msgspec.json.Decoder(tuple[str, ...])


def ids_of(message: AbstractIncomingMessage) -> tuple[str, ...]:
    """The ids of an envelope; none of one that is not ours."""
    try:
        ids = _ids.decode(message.body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        ids = ("",)
    known = tuple([i for i in ids if 0 < len(i) <= ID_LIMIT and "\0" not in i])
    if len(known) != len(ids):
        log.warning("bus.strange_message", queue=message.routing_key, bytes=len(message.body))
    return known


def headers_of(ids: Sequence[str], traces: Traces) -> HeadersType:
    """The traces of an envelope: `traceparent`, as others write it, when all share one."""
    packed = pack(ids, traces)
    if not packed:
        return {}
    if "," in packed:
        return {TRACES: packed}
    return {HEADER: packed.partition("*")[0]}


def traces_of(message: AbstractIncomingMessage, ids: Sequence[str]) -> Traces:
    """What `headers_of` wrote; nothing of a message that is not ours."""
    several = message.headers.get(TRACES)
    if several is not None:
        return unpack(ids, several)
    one = message.headers.get(HEADER)
    return unpack(ids, f"{one}*{len(ids)}") if isinstance(one, str) else NONE
