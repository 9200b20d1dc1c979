"""The source definitions: loaded from `sources/*.toml`, checked and compiled once.

A definition has a `name` (the file's), `title`, `vendor` and `product`; perhaps `priority` (lower
is asked first), `aliases`, `names = "camel"` and `infer = true`; at least one `[[detect]]` (any of
them recognises the payload); perhaps `[decoded]` parts, which the rest reads as `@name.…`; and
`[fields]`, an expression for each field of the record.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from tocsin.errors import SourceError
from tocsin.normalize.condition import Condition, Test, compile_condition
from tocsin.normalize.expression import compile_alternatives
from tocsin.normalize.fields import CASTS
from tocsin.normalize.parts import Parts
from tocsin.normalize.path import ROOT
from tocsin.normalize.plan import FieldPlan, Plan
from tocsin.normalize.survey import Known, known_paths

KEYS = frozenset(
    {"name", "title", "vendor", "product", "priority", "aliases", "names", "infer", "detect"}
    | {"decoded", "fields"}
)
MAX_SHAPES = 1024
MAX_SHAPE = 4096  # characters of names; for larger shapes the search is made anew each time
CAMEL = "camel"
CONTAINERS = frozenset({"json", "cef", "syslog", "key_value", "xml", "event_data"})


@dataclass(frozen=True, slots=True)
class Source:
    """One compiled source definition.

    `decoded` are parts of the payload to decode or rename first, as `@name`. `camel` says that
    `Severity` and `severity` are the same key; `infer` that what the definition leaves over is
    tried with the synonyms of unknown formats.
    """

    name: str
    title: str
    vendor: str
    product: str
    priority: int
    aliases: frozenset[str]
    camel: bool
    infer: bool
    conditions: tuple[Condition, ...]
    parts: Parts
    plan: Plan
    known: Known


class Catalogue:
    """All source definitions; answers which one a payload belongs to."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sorted(sources, key=lambda source: (source.priority, source.name)))
        self._by_name: dict[str, Source] = {}
        for source in self.sources:
            for name in {source.name, *source.aliases}:
                if name in self._by_name:
                    raise SourceError(f"{source.name}: the name {name!r} is already taken")
                self._by_name[name] = source
        self._marks: dict[tuple[str, ...], tuple[tuple[Source, Test], ...]] = {}

    def named(self, name: str | None) -> Source | None:
        """The source that a sender's name means, or None."""
        return self._by_name.get(name.strip().lower()) if name else None

    def recognises(self, named: Source, document: dict[str, Any]) -> bool:
        """Whether a payload has the marks of this source."""
        return any(source is named and test(document) for source, test in self._marks_of(document))

    def detect(self, document: dict[str, Any]) -> Source | None:
        """The source whose marks a payload has, by priority, or None."""
        for source, test in self._marks_of(document):
            if test(document):
                return source
        return None

    def _marks_of(self, document: dict[str, Any]) -> tuple[tuple[Source, Test], ...]:
        """The marks that a payload with these names can have, worked out once for each shape."""
        names = tuple(document)
        marks = self._marks.get(names)
        if marks is None:
            marks = tuple(
                (source, condition.test)
                for source in self.sources
                for condition in source.conditions
                if not any(heads.isdisjoint(names) for heads in condition.heads)
            )
            if sum(map(len, names)) <= MAX_SHAPE:
                if len(self._marks) >= MAX_SHAPES:
                    self._marks.clear()
                self._marks[names] = marks
        return marks


@cache
def load_catalogue() -> Catalogue:
    """The definitions that come with the package.

    Raises:
        SourceError: one of them says something impossible.
    """
    folder = resources.files(__package__) / "sources"
    files = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".toml")),
        key=lambda entry: entry.name,
    )
    return Catalogue([compile_source(file.name, file.read_text("utf-8")) for file in files])


def compile_source(file: str, text: str) -> Source:
    """Check and compile the text of one definition; `file` is named in errors.

    Raises:
        SourceError: the definition says something impossible; names the file and the entry.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SourceError(f"{file}: {error}") from error
    if unknown := set(table) - KEYS:
        raise SourceError(f"{file}: unknown key {', '.join(sorted(unknown))}")
    for key in ("name", "title", "vendor", "product"):
        if not isinstance(table.get(key), str) or not table[key]:
            raise SourceError(f"{file}: {key} must be a text")
    if table["name"] != file.removesuffix(".toml"):
        raise SourceError(f"{file}: name must be the name of the file")
    if table.get("names", CAMEL) != CAMEL:
        raise SourceError(f"{file}: names can only be {CAMEL!r}")
    used: set[str] = set()
    parts = _compile_parts(file, table.get("decoded", {}), used)
    helpers = {name for name, spec in table.get("decoded", {}).items() if not _holds_fields(spec)}
    fields = _compile_fields(file, table.get("fields"), used)
    return Source(
        name=table["name"],
        title=table["title"],
        vendor=table["vendor"],
        product=table["product"],
        priority=int(table.get("priority", 50)),
        aliases=frozenset(str(alias).lower() for alias in table.get("aliases", [])),
        camel="names" in table,
        infer=bool(table.get("infer", False)),
        conditions=_compile_conditions(file, table.get("detect")),
        parts=parts,
        plan=Plan(fields),
        known=known_paths(_every_place(used, parts.names, table) | helpers),
    )


def _compile_conditions(file: str, conditions: Any) -> tuple[Condition, ...]:
    if not isinstance(conditions, list) or not conditions:
        raise SourceError(f"{file}: needs at least one [[detect]]")
    return tuple(
        compile_condition(condition, f"{file}: detect {number}", set())
        for number, condition in enumerate(conditions, 1)
    )


def _compile_parts(file: str, table: Any, used: set[str]) -> Parts:
    if not isinstance(table, dict) or not all(name.startswith("@") for name in table):
        raise SourceError(f"{file}: names in [decoded] begin with @")
    return Parts(
        tuple(
            (name, compile_alternatives(spec, f"{file}: decoded {name!r}", used))
            for name, spec in table.items()
        )
    )


def _compile_fields(file: str, table: Any, used: set[str]) -> tuple[FieldPlan, ...]:
    if not isinstance(table, dict) or "title" not in table:
        raise SourceError(f"{file}: needs [fields] with at least a title")
    plans = []
    for name, spec in table.items():
        if name not in CASTS:
            raise SourceError(f"{file}: there is no field {name!r}")
        where = f"{file}: fields {name!r}"
        plans.append(FieldPlan(name, compile_alternatives(spec, where, used), CASTS[name]))
    return tuple(plans)


def _every_place(used: set[str], names: Sequence[str], table: Mapping[str, Any]) -> set[str]:
    """The paths read, and where a part may be the payload itself, its paths from the root too."""
    places = {path for path in used if path != ROOT}
    for name in names:
        if _mentions_root(table["decoded"][name]):
            places |= {
                path.removeprefix(f"{name}.") for path in used if path.startswith(f"{name}.")
            }
    return places


def _holds_fields(spec: Any) -> bool:
    """Whether a part is a place of vendor's fields, not just the pieces of one value."""
    if isinstance(spec, list):
        return any(_holds_fields(part) for part in spec)
    if not isinstance(spec, dict):
        return True
    if "decode" in spec:
        return spec["decode"] in CONTAINERS
    return _holds_fields(spec.get("first", ROOT)) and "map" not in spec and "join" not in spec


def _mentions_root(spec: Any) -> bool:
    if isinstance(spec, str):
        return spec == ROOT
    if isinstance(spec, list):
        return any(_mentions_root(part) for part in spec)
    return isinstance(spec, dict) and _mentions_root([spec.get("path"), spec.get("first")])
