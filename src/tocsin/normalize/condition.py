"""Conditions on a document: what `detect` and `when` of source definitions can ask."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tocsin.errors import SourceError
from tocsin.normalize.path import Pick, compile_path, head_of

Test = Callable[[Any], bool]

CONDITIONS = frozenset({"exists", "any", "equals", "matches", "absent"})
MAX_SEARCHED = 4096


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition, and the paths without any of which it cannot hold (None: unknown).

    `heads` says the same for a whole document: of each of these sets it has a member.
    """

    test: Test
    needs: frozenset[str] | None
    heads: tuple[frozenset[str], ...]


def compile_condition(spec: Any, where: str, used: set[str]) -> Condition:
    """Turn `{exists, any, equals, matches, absent}` into one test that all of them must pass.

    `used` collects the paths it reads.

    Raises:
        SourceError: the condition says something impossible; the message begins with `where`.
    """
    if not isinstance(spec, dict) or not spec or not set(spec) <= CONDITIONS:
        raise SourceError(f"{where}: a condition is a table of {', '.join(sorted(CONDITIONS))}")
    tests: list[Test] = []
    needs: list[frozenset[str]] = []
    for path, wanted in _table(spec.get("equals", {}), where).items():
        values = wanted if isinstance(wanted, list) else [wanted]
        tests.append(_equals(compile_path(path), frozenset(key_of(value) for value in values)))
        needs.append(frozenset({path}))
    for path in _paths(spec.get("exists", []), where):
        tests.append(_exists(compile_path(path)))
        needs.append(frozenset({path}))
    for path, pattern in _table(spec.get("matches", {}), where).items():
        try:
            tests.append(_matches(compile_path(path), re.compile(pattern)))
        except (re.error, TypeError) as error:
            raise SourceError(f"{where}: {pattern!r} is no regular expression: {error}") from error
        needs.append(frozenset({path}))
    if "any" in spec:
        choices = _paths(spec["any"], where)
        tests.append(_any(tuple(compile_path(path) for path in choices)))
        needs.append(frozenset(choices))
    missing = _paths(spec.get("absent", []), where)
    tests.extend(_lacks(compile_path(path)) for path in missing)
    used.update(missing, *needs)
    heads = [frozenset(map(head_of, paths)) for paths in needs]
    return Condition(
        _all(tuple(tests)),
        needs[0] if needs else None,
        tuple(names for names in heads if "" not in names),
    )


def is_nothing(value: Any) -> bool:
    """Whether a member says nothing: absent, empty, or the dash that stands for empty."""
    if type(value) is str:
        return not value or value == "-"
    return value is None or value == []


def key_of(value: Any) -> str:
    """How a value is written as the key of a map: lower case; whole numbers without `.0`."""
    if isinstance(value, str):
        return value.strip().lower()
    if type(value) is int:
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) else ""


def _paths(paths: Any, where: str) -> list[str]:
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise SourceError(f"{where}: needs a list of paths")
    return paths


def _table(table: Any, where: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise SourceError(f"{where}: needs a table, not {table!r}")
    return table


def _all(tests: tuple[Test, ...]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def test(document: Any) -> bool:
        for part in tests:  # noqa: SIM110 - a loop is twice as fast as all() of a generator
            if not part(document):
                return False
        return True

    return test


def _exists(pick: Pick) -> Test:
    return lambda document: pick(document) is not None


def _lacks(pick: Pick) -> Test:
    return lambda document: is_nothing(pick(document))


def _any(picks: tuple[Pick, ...]) -> Test:
    def test(document: Any) -> bool:
        for pick in picks:  # noqa: SIM110 - a loop is twice as fast as any() of a generator
            if not is_nothing(pick(document)):
                return True
        return False

    return test


def _equals(pick: Pick, wanted: frozenset[str]) -> Test:
    def test(document: Any) -> bool:
        value = pick(document)
        if value is None:
            return False
        return (type(value) is str and value in wanted) or key_of(value) in wanted

    return test


def _matches(pick: Pick, pattern: re.Pattern[str]) -> Test:
    def test(document: Any) -> bool:
        value = pick(document)
        return isinstance(value, str) and pattern.search(value, 0, MAX_SEARCHED) is not None

    return test
