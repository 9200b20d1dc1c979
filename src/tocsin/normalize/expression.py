"""The six verbs of source definitions: path, first, map, default, join, decode.

An expression is a table in TOML; it is checked and turned into one function when it is loaded.
`with` belongs to join, `take` to decode, and `when` guards any expression with a condition.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tocsin.errors import DecodeError, SourceError
from tocsin.normalize.condition import compile_condition, is_nothing, key_of
from tocsin.normalize.decode import DECODERS
from tocsin.normalize.path import ROOT, Pick, compile_path

VERBS = frozenset({"path", "first", "map", "default", "join", "decode"})
PARAMETERS = frozenset({"with", "take", "when"})
_BOUND = re.compile(r">=\s*(-?\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression: its function, and the paths without any of which it gives None.

    `needs` is None when it can give a value without any path (it has a default). `path` is set
    when the expression is nothing but that path. `reads` are all paths that its value depends on.
    """

    pick: Pick
    needs: frozenset[str] | None
    path: str | None = None
    reads: frozenset[str] = frozenset()


def compile_expression(spec: Any, where: str, used: set[str]) -> Expression:
    """Turn an expression into a function of the document; `used` collects the paths it reads.

    A text is short for `{path = …}`, a list for `{first = […]}`.

    Raises:
        SourceError: the expression says something impossible; the message begins with `where`.
    """
    match spec:
        case str():
            used.add(spec)
            needs = None if spec == ROOT else frozenset({spec})
            return Expression(compile_path(spec), needs, spec)
        case list():
            return _first(_all(spec, where, used))
        case dict():
            return _compile_table(spec, where, used)
    raise SourceError(f"{where}: expected a path, a list or a table, not {spec!r}")


def compile_alternatives(spec: Any, where: str, used: set[str]) -> tuple[Expression, ...]:
    """Like `compile_expression`, with an outermost `first` as separate expressions.

    The caller can then also go on to the next alternative when a value turns out unusable.
    """
    if isinstance(spec, dict) and set(spec) == {"first"}:
        spec = spec["first"]
    if isinstance(spec, list):
        return tuple(_compile_alternative(part, where, used) for part in _parts(spec, where))
    return (_compile_alternative(spec, where, used),)


def _compile_alternative(spec: Any, where: str, used: set[str]) -> Expression:
    """Compile an expression that stands for itself, and see what it depends on."""
    read: set[str] = set()
    expression = compile_expression(spec, where, read)
    used |= read
    return replace(expression, reads=frozenset(read))


def _compile_table(spec: dict[str, Any], where: str, used: set[str]) -> Expression:
    source = _compile_source(spec, where, used)
    pick, needs = source.pick, source.needs
    if "decode" in spec:
        pick = _decode(pick, spec["decode"], spec.get("take"), where)
    if "map" in spec:
        pick = _map(pick, spec["map"], where)
    if "default" in spec:
        pick, needs = _default(pick, spec["default"]), None
    if "when" in spec:
        condition = compile_condition(spec["when"], where, used)
        pick = _guard(pick, condition.test)
        needs = condition.needs if condition.needs is not None else needs
    return Expression(pick, needs, source.path if len(spec) == 1 else None)


def _compile_source(spec: dict[str, Any], where: str, used: set[str]) -> Expression:
    """Where the table takes its value from: a path, the first of several, or several joined."""
    if unknown := set(spec) - VERBS - PARAMETERS:
        raise SourceError(f"{where}: unknown verb {', '.join(sorted(unknown))}")
    if ("with" in spec and "join" not in spec) or ("take" in spec and "decode" not in spec):
        raise SourceError(f"{where}: `with` belongs to join and `take` to decode")
    match [verb for verb in ("path", "first", "join") if verb in spec]:
        case ["path"]:
            if not isinstance(spec["path"], str):
                raise SourceError(f"{where}: a path is a text")
            return compile_expression(spec["path"], where, used)
        case ["first"]:
            return _first(_all(spec["first"], where, used))
        case ["join"]:
            return _join(_all(spec["join"], where, used), str(spec.get("with", " ")))
        case [] if "default" in spec:
            return Expression(_nothing, None)
    raise SourceError(f"{where}: needs exactly one of path, first, join, or only a default")


def _all(specs: Any, where: str, used: set[str]) -> tuple[Expression, ...]:
    return tuple(compile_expression(spec, where, used) for spec in _parts(specs, where))


def _parts(specs: Any, where: str) -> list[Any]:
    if not isinstance(specs, list) or not specs:
        raise SourceError(f"{where}: needs a list that is not empty")
    return specs


def _nothing(_document: Any) -> None:
    return None


def _needs_of(parts: tuple[Expression, ...]) -> frozenset[str] | None:
    needs: set[str] = set()
    for part in parts:
        if part.needs is None:
            return None
        needs |= part.needs
    return frozenset(needs)


def _first(parts: tuple[Expression, ...]) -> Expression:
    picks = tuple(part.pick for part in parts)

    def pick(document: Any) -> Any:
        failure: DecodeError | None = None
        for alternative in picks:
            try:
                value = alternative(document)
            except DecodeError as error:
                failure = error
                continue
            if value is not None and not is_nothing(value):
                return value
        if failure is not None:
            raise failure
        return None

    return Expression(pick, _needs_of(parts))


def _join(parts: tuple[Expression, ...], mark: str) -> Expression:
    picks = tuple(part.pick for part in parts)

    def pick(document: Any) -> Any:
        texts: list[str] = []
        for part in picks:
            value = part(document)
            if type(value) is str:
                if value:
                    texts.append(value)
            elif type(value) is int:
                texts.append(str(value))
            elif isinstance(value, list):
                texts.extend(str(item) for item in value if isinstance(item, str | int | float))
            elif isinstance(value, str | int | float):
                texts.append(str(value))
        return mark.join(texts) if texts else None

    return Expression(pick, _needs_of(parts))


def _decode(source: Pick, name: Any, take: Any, where: str) -> Pick:
    decoder = DECODERS.get(name) if isinstance(name, str) else None
    if decoder is None:
        raise SourceError(f"{where}: no decoder {name!r}; there are {', '.join(DECODERS)}")
    if take is not None and not isinstance(take, str):
        raise SourceError(f"{where}: take names a part")
    part = compile_path(take) if take else None

    def pick(document: Any) -> Any:
        value = source(document)
        if value is None or is_nothing(value):
            return None
        if type(value) is list and name not in {"hashes", "json", "event_data"}:
            value = value[0]
        decoded = decoder(value)
        return part(decoded) if part is not None else decoded

    return pick


def _map(source: Pick, table: Any, where: str) -> Pick:
    if not isinstance(table, dict) or not table:
        raise SourceError(f"{where}: map needs a table that is not empty")
    exact, bounds = _read_map(table)

    def look_up(value: Any) -> Any:
        found = exact.get(key_of(value))
        if found is not None or not bounds:
            return found
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return None
        return next((result for bound, result in bounds if number >= bound), None)

    def pick(document: Any) -> Any:
        value = source(document)
        if type(value) is str and value in exact:  # the usual case: written as in the map
            return exact[value]
        if type(value) is list:
            return next((found for item in value if (found := look_up(item)) is not None), None)
        return None if value is None else look_up(value)

    return pick


def _read_map(table: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[float, Any]]]:
    """The exact keys of a map, in lower case, and its bounds (`>=7`), the highest first."""
    exact: dict[str, Any] = {}
    bounds: list[tuple[float, Any]] = []
    for key, value in table.items():
        if bound := _BOUND.fullmatch(key.strip()):
            bounds.append((float(bound.group(1)), value))
        else:
            exact[key_of(key)] = value
    bounds.sort(key=lambda item: item[0], reverse=True)
    return exact, bounds


def _default(source: Pick, default: Any) -> Pick:
    def pick(document: Any) -> Any:
        value = source(document)
        return default if is_nothing(value) else value

    return pick if source is not _nothing else lambda _document: default


def _guard(source: Pick, test: Callable[[Any], bool]) -> Pick:
    return lambda document: source(document) if test(document) else None
