"""Whether the rules of a policy can work, beyond the bounds of each number."""

from tocsin.errors import InputError
from tocsin.model import ClosingRules

MOST_CLASSES = 32


def check(rules: ClosingRules) -> None:
    """Whether rules can work, beyond the bounds of each number.

    Raises:
        InputError: they cannot; the message says what to do.
    """
    if not rules.classes:
        raise InputError("classes: name at least one SOURCE/KIND (tocsin autoclose classes)")
    if len(rules.classes) > MOST_CLASSES or len(set(rules.classes)) != len(rules.classes):
        raise InputError(f"classes: at most {MOST_CLASSES}, each once: delta is split over them")
    for name in rules.classes:
        source, _, kind = name.partition("/")
        if not (source and kind and name.isprintable()) or not _is_unicode(name):
            raise InputError(f"classes: {name!r} is not SOURCE/KIND, e.g. suricata/policy")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
