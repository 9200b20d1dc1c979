"""The same alerts under other names: what a model must not have learned by heart."""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Address, ip_address
from typing import Any

import msgspec
import numpy as np

from tocsin.evaluation import measures
from tocsin.ingest import Item
from tocsin.model import Dossier, Verdict

SHIFT = timedelta(days=37, hours=5)
LEAST_NAME = 3  # shorter names would be found within other words
LARGEST = 10
EPOCHS = ((1e9, 4e9, 1.0), (1e12, 4e12, 1e3), (1e15, 4e15, 1e6))
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
_OF_TIME = re.compile(r"time|date|stamp|_at$|^ts$|created|seen", re.IGNORECASE)


class Move(msgspec.Struct, frozen=True):
    """An alert whose probability moved."""

    title: str
    before: float
    after: float


class Difference(msgspec.Struct, frozen=True):
    """How much changed when only names and times did."""

    mean_move: float
    largest_move: float
    verdicts_changed: float  # share
    roc_auc_before: float | None
    roc_auc_after: float | None
    largest: list[Move]


class Perturbation:
    """Renames hosts, accounts and addresses, each always the same way, and shifts times.

    Addresses stay of their kind: the last two parts of an IPv4 address change, the first two, by
    which inside and outside are told apart, stay.
    """

    def __init__(self, names: dict[str, str]) -> None:
        self._names = {name.lower(): other for name, other in names.items()}
        ordered = sorted(self._names, key=len, reverse=True)
        self._any = re.compile(
            r"(?<![A-Za-z0-9.])(?:" + "|".join(map(re.escape, ordered)) + r")(?![A-Za-z0-9])"
            if ordered
            else r"(?!)",
            re.IGNORECASE,  # normalising lowers some of them, and writers differ
        )

    @classmethod
    def of(cls, dossiers: Sequence[Dossier], seed: int) -> "Perturbation":
        """New names for everybody who stands in these alerts."""
        names: dict[str, str] = {}
        for dossier in dossiers:
            alert = dossier.alert
            if alert is None:
                continue
            for host in (alert.host.name, alert.source.domain, alert.destination.domain):
                if host and len(host) >= LEAST_NAME:
                    names[host] = "host-" + _mark(host, seed)
            if alert.user.name and len(alert.user.name) >= LEAST_NAME:
                names[alert.user.name] = "user-" + _mark(alert.user.name, seed)
            if alert.user.email:
                names[alert.user.email] = _mark(alert.user.email, seed) + "@example.com"
            for address in (alert.source.ip, alert.destination.ip, alert.host.ip):
                if address and (other := _address(address, seed)):
                    names[address] = other
        return cls(names)

    def item(self, item: Item) -> Item:
        """The alert under other names, at another time."""
        try:
            document = msgspec.json.decode(item.payload)
        except (msgspec.DecodeError, RecursionError):
            payload = self._text(item.payload)
        else:
            payload = msgspec.json.encode(self._changed("", document)).decode()
        return Item(payload=payload, canonical=payload.encode(), chosen_id=None)

    def _changed(self, name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._changed(key, inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._changed(name, inner) for inner in value]
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int | float) and _OF_TIME.search(name):
            for least, most, per_second in EPOCHS:
                if least <= value <= most:
                    return value + type(value)(SHIFT.total_seconds() * per_second)
        return value

    def _other(self, found: "re.Match[str]") -> str:
        name = found.group()
        return self._names.get(
            name.lower(), name
        )  # a few letters fold to others than they lower to

    def _text(self, text: str) -> str:
        renamed = self._any.sub(self._other, text)
        return _ISO.sub(_later, renamed)


def difference(
    before: Sequence[Dossier], after: Sequence[Dossier], truths: Sequence[bool]
) -> Difference:
    """What the change of names did to the verdicts."""
    pairs = [
        (first.verdict, second.verdict, first.alert.title if first.alert else "")
        for first, second in zip(before, after, strict=True)
    ]
    judged = [(a, b, title) for a, b, title in pairs if a is not None and b is not None]
    moves = [abs(a.probability - b.probability) for a, b, _ in judged]
    truth = np.asarray(truths, dtype=np.float64)
    order = sorted(range(len(judged)), key=lambda index: -moves[index])[:LARGEST]
    return Difference(
        mean_move=float(np.mean(moves)),
        largest_move=max(moves),
        verdicts_changed=sum(a.verdict is not b.verdict for a, b, _ in judged) / len(judged),
        roc_auc_before=measures.roc_auc(truth, _chances([a for a, _, _ in judged])),
        roc_auc_after=measures.roc_auc(truth, _chances([b for _, b, _ in judged])),
        largest=[
            Move(judged[n][2], judged[n][0].probability, judged[n][1].probability) for n in order
        ],
    )


def _chances(verdicts: Sequence[Verdict]) -> measures.Numbers:
    return np.array([verdict.probability for verdict in verdicts], dtype=np.float64)


def _mark(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()[:8]


def _address(text: str, seed: int) -> str | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if not isinstance(address, IPv4Address):
        return None
    digest = hashlib.sha256(f"{seed}:{text}".encode()).digest()
    first, second = text.split(".")[:2]
    return f"{first}.{second}.{digest[0]}.{1 + digest[1] % 254}"


def _later(found: "re.Match[str]") -> str:
    text = found.group()
    try:
        moment = datetime.fromisoformat(text.replace("T", " ")) + SHIFT
    except (ValueError, OverflowError):
        return text
    return moment.isoformat("T" if "T" in text else " ", "seconds")
