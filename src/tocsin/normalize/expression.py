"""The six verbs of source definitions: path, first, map, default, join, decode.

An expression is a table in TOML; it is checked and turned into one function when it is loaded.
`with` belongs to join, `take` to decode, and `when` guards any expression with a condition.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from tocsin.errors import DecodeError, SourceError
from tocsin.normalize.decode import DECODERS
from tocsin.normalize.path import Pick, compile_path

Test = Callable[[Any], bool]
Note = Callable[[str], None]

VERBS = frozenset({"path", "first", "map", "default", "join", "decode"})
PARAMETERS = frozenset({"with", "take", "when"})
CONDITIONS = frozenset({"exists", "any", "equals", "matches", "absent"})
_BOUND = re.compile(r">=\s*(-?\d+(?:\.\d+)?)")


def compile_expression(spec: Any, where: str, used: set[str]) -> Pick:
    """Turn an expression into a function of the document; `used` collects the paths it reads.

    A text is short for `{path = …}`, a list for `{first = […]}`.

    Raises:
        SourceError: the expression says something impossible; the message begins with `where`.
    """
    match spec:
        case str():
            used.add(spec)
            return compile_path(spec)
        case list():
            return _first(_all(spec, where, used))
        case dict():
            return _compile_table(spec, where, used)
    raise SourceError(f"{where}: expected a path, a list or a table, not {spec!r}")


def compile_alternatives(spec: Any, where: str, used: set[str]) -> tuple[Pick, ...]:
    """Like `compile_expression`, with an outermost `first` as separate functions.

    The caller can then also go on to the next alternative when a value turns out unusable.
    """
    if isinstance(spec, dict) and set(spec) == {"first"}:
        spec = spec["first"]
    if isinstance(spec, list):
        return _all(spec, where, used)
    return (compile_expression(spec, where, used),)


def compile_condition(spec: Any, where: str, used: set[str]) -> Test:
    """Turn `{exists, any, equals, matches, absent}` into a test that all of them must pass.

    Raises:
        SourceError: the condition says something impossible.
    """
    if not isinstance(spec, dict) or not spec or not set(spec) <= CONDITIONS:
        raise SourceError(f"{where}: a condition is a table of {', '.join(sorted(CONDITIONS))}")
    tests: list[Test] = []
    for path in _paths(spec.get("exists", []), where, used):
        tests.append(_exists(path))
    if "any" in spec:
        choices = _paths(spec["any"], where, used)
        tests.append(lambda document: any(pick(document) not in (None, "", []) for pick in choices))
    for path in _paths(spec.get("absent", []), where, used):
        tests.append(_lacks(path))
    for path, wanted in _table(spec.get("equals", {}), where).items():
        used.add(path)
        choices_of = frozenset(_key(value) for value in (wanted if isinstance(wanted, list) else [wanted]))
        tests.append(_equals(compile_path(path), choices_of))
    for path, pattern in _table(spec.get("matches", {}), where).items():
        used.add(path)
        try:
            tests.append(_matches(compile_path(path), re.compile(pattern)))
        except (re.error, TypeError) as error:
            raise SourceError(f"{where}: {pattern!r} is no regular expression: {error}") from error
    if len(tests) == 1:
        return tests[0]
    return lambda document: all(test(document) for test in tests)


def _compile_table(spec: dict[str, Any], where: str, used: set[str]) -> Pick:
    if unknown := set(spec) - VERBS - PARAMETERS:
        raise SourceError(f"{where}: unknown verb {', '.join(sorted(unknown))}")
    sources = [verb for verb in ("path", "first", "join") if verb in spec]
    if len(sources) > 1 or not (sources or "default" in spec):
        raise SourceError(f"{where}: needs exactly one of path, first, join, or only a default")
    if ("with" in spec and "join" not in spec) or ("take" in spec and "decode" not in spec):
        raise SourceError(f"{where}: `with` belongs to join and `take` to decode")
    pick: Pick = _nothing
    match sources:
        case ["path"]:
            if not isinstance(spec["path"], str):
                raise SourceError(f"{where}: a path is a text")
            pick = compile_expression(spec["path"], where, used)
        case ["first"]:
            pick = _first(_all(spec["first"], where, used))
        case ["join"]:
            pick = _join(_all(spec["join"], where, used), str(spec.get("with", " ")))
    if "decode" in spec:
        pick = _decode(pick, spec["decode"], spec.get("take"), where)
    if "map" in spec:
        pick = _map(pick, _table(spec["map"], where), where)
    if "default" in spec:
        pick = _default(pick, spec["default"])
    if "when" in spec:
        pick = _guard(pick, compile_condition(spec["when"], where, used))
    return pick


def _all(specs: Any, where: str, used: set[str]) -> tuple[Pick, ...]:
    if not isinstance(specs, list) or not specs:
        raise SourceError(f"{where}: needs a list that is not empty")
    return tuple(compile_expression(spec, where, used) for spec in specs)


def _paths(paths: Any, where: str, used: set[str]) -> list[Pick]:
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise SourceError(f"{where}: needs a list of paths")
    used.update(paths)
    return [compile_path(path) for path in paths]


def _table(table: Any, where: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise SourceError(f"{where}: needs a table, not {table!r}")
    return table


def _nothing(_document: Any) -> None:
    return None


def _first(picks: tuple[Pick, ...]) -> Pick:
    def pick(document: Any) -> Any:
        failure: DecodeError | None = None
        for alternative in picks:
            try:
                value = alternative(document)
            except DecodeError as error:
                failure = error
                continue
            if value is not None and value != "" and value != "-" and value != []:
                return value
        if failure is not None:
            raise failure
        return None

    return pick


def _join(picks: tuple[Pick, ...], mark: str) -> Pick:
    def pick(document: Any) -> Any:
        parts = []
        for part in picks:
            value = part(document)
            if isinstance(value, list):
                parts.extend(str(item) for item in value if isinstance(item, str | int | float))
            elif isinstance(value, str | int | float) and value != "":
                parts.append(str(value))
        return mark.join(parts) if parts else None

    return pick


def _decode(source: Pick, name: Any, take: Any, where: str) -> Pick:
    decoder = DECODERS.get(name) if isinstance(name, str) else None
    if decoder is None:
        raise SourceError(f"{where}: no decoder {name!r}; there are {', '.join(DECODERS)}")
    if take is not None and not isinstance(take, str):
        raise SourceError(f"{where}: take names a part")
    part = compile_path(take) if take else None

    def pick(document: Any) -> Any:
        value = source(document)
        if value is None or value == "" or value == "-":
            return None
        if type(value) is list and name not in {"hashes", "json", "event_data"}:
            value = value[0]
        decoded = decoder(value)
        return part(decoded) if part is not None else decoded

    return pick


def _map(source: Pick, table: Mapping[str, Any], where: str) -> Pick:
    bounds: list[tuple[float, Any]] = []
    exact: dict[str, Any] = {}
    for key, value in table.items():
        bound = _BOUND.fullmatch(key.strip())
        if bound is not None:
            bounds.append((float(bound.group(1)), value))
        else:
            exact[key.lower()] = value
    if not bounds and not exact:
        raise SourceError(f"{where}: an empty map maps nothing")
    bounds.sort(key=lambda item: item[0], reverse=True)

    def look_up(value: Any) -> Any:
        found = exact.get(_key(value))
        if found is None and bounds:
            try:
                number = float(value)
            except (TypeError, ValueError, OverflowError):
                return None
            return next((result for bound, result in bounds if number >= bound), None)
        return found

    def pick(document: Any) -> Any:
        value = source(document)
        if value is None:
            return None
        if type(value) is list:
            return next((found for item in value if (found := look_up(item)) is not None), None)
        return look_up(value)

    return pick


def _default(source: Pick, default: Any) -> Pick:
    def pick(document: Any) -> Any:
        value = source(document)
        return default if value is None or value == "" or value == "-" else value

    return pick if source is not _nothing else lambda _document: default


def _guard(source: Pick, test: Test) -> Pick:
    return lambda document: source(document) if test(document) else None


def _exists(pick: Pick) -> Test:
    return lambda document: pick(document) is not None


def _lacks(pick: Pick) -> Test:
    return lambda document: pick(document) in (None, "", [])


def _equals(pick: Pick, wanted: frozenset[str]) -> Test:
    def test(document: Any) -> bool:
        value = pick(document)
        if type(value) is str:
            return value in wanted or value.lower() in wanted
        return value is not None and _key(value) in wanted

    return test


def _matches(pick: Pick, pattern: re.Pattern[str]) -> Test:
    def test(document: Any) -> bool:
        value = pick(document)
        return isinstance(value, str) and pattern.search(value, 0, 4096) is not None

    return test


def _key(value: Any) -> str:
    """How a value is written as the key of a map: lower case; whole numbers without `.0`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip().lower() if isinstance(value, str | int | float) else ""
