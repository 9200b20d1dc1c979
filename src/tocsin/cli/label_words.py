"""The words of labels: what each says, and files that hold nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from tocsin.cli.envelopes import value_at
from tocsin.cli.files import is_called_table
from tocsin.errors import ImportRowError, InputError
from tocsin.knowledge.tabular import decode, header_of, plain, read_bytes, read_rows

ATTACKS = frozenset(
    {"truepositive", "tp", "attack", "malicious", "true", "1", "yes", "positive", "intrusion"}
    | {"bad", "evil", "truepositivesuspiciousactivity"}
)
HARMLESS = frozenset(
    {"falsepositive", "fp", "falsealarm", "falsealert", "benignpositive", "bp", "btp"}
    | {"benigntruepositive", "benign", "harmless", "normal", "false", "0", "no", "negative"}
    | {"legitimate", "good", "clean", "background", "nonmalicious", "notmalicious"}
    | {"benignpositivesuspiciousbutexpected", "falsepositiveincorrectanalyticlogic"}
    | {"falsepositiveinaccuratedata"}
)
UNDECIDED = frozenset({"undetermined", "unlabeled", "unlabelled", "unknown", "null", "none"})
SIGN = "-"  # where a set marks the harmless ones so, every other word names an attack
COLUMNS = ("label", "disposition", "verdict", "truth", "groundtruth", "class")
INDEX = "index"


def truth_of(word: str, *, named: bool = False, harmless: str | None = None) -> bool | None:
    """Whether a word says that the alert was an attack; None where nobody can tell.

    Args:
        word: as it stands in the set; case, spaces and punctuation say nothing.
        named: the set marks harmless alerts with "-", so that other words name attacks.
        harmless: the word by which the set marks harmless alerts; other words name attacks.
    """
    if word.strip() == SIGN:
        return False
    key = _key(word)
    if harmless is not None and key == _key(harmless):
        return False
    if key in HARMLESS:
        return False
    return True if named or harmless is not None or key in ATTACKS else None


def says_nothing(word: str) -> bool:
    """Whether nobody has decided by this word."""
    key = _key(word)
    return key in UNDECIDED if key else not word.strip()


def text_of(value: Any) -> str:
    """A value of a field as the word that it is."""
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    return str(value).strip()


@dataclass(frozen=True, slots=True)
class Words:
    """Labels of a file of their own, by the place of the alert or by the value of one field."""

    places: Mapping[int, str] = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)
    id_field: str = ""

    def word(self, number: int, *documents: Any) -> str:
        """The label of an alert; "" if it has none.

        Args:
            number: its place, from 0.
            documents: where its id may stand, best first.
        """
        for document in documents if self.id_field else ():
            named = text_of(value_at(document, self.id_field))
            if named in self.ids:
                return self.ids[named]
        return self.places.get(number, "")

    def require_places(self, read: int, name: str) -> None:
        """Labels for more alerts than there are belong to other alerts.

        Raises:
            InputError: there are such.
        """
        last = max((number for number, word in self.places.items() if word), default=-1)
        if last >= read:
            raise InputError(
                f"{name}: it labels alert {last} (counted from 0), but only {read} were read"
            )


class _Label(msgspec.Struct, frozen=True):
    index: Annotated[int, msgspec.Meta(ge=0)]
    label: Any


def words_of(name: str) -> Words:
    """Labels from a file of their own.

    A word on each line (a header is passed over), a JSON array of words, or rows of a table or of
    JSON with a label and an `index` from 0 on, or with a label and the value of a field by which
    the alert is found.

    Raises:
        InputError: the file cannot be read, a row lacks one of the two, or an index is no whole
            number from 0 on.
    """
    text = decode(read_bytes(name), name)
    head = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if head.startswith("["):
        return _of_array(text, name)
    header = {plain(cell) for cell in header_of(head)}
    if head.startswith("{") or not header.isdisjoint(COLUMNS) or (header and is_called_table(name)):
        return _of_rows(name)
    lines = [line.strip() for line in text.splitlines()]
    if lines and plain(lines[0]) in COLUMNS:
        del lines[0]
    return Words(dict(enumerate(lines)))


def is_file(labels: str) -> bool:
    """Whether the labels stand in a file of their own, not in a field."""
    try:
        return Path(labels).is_file()
    except (OSError, ValueError):
        return False


def _of_array(text: str, name: str) -> Words:
    try:
        listed = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"{name}: is not JSON: {error}") from error
    if any(isinstance(each, dict) for each in listed):
        return _of_rows(name)
    return Words(dict(enumerate(map(text_of, listed))))


def _of_rows(name: str) -> Words:
    places: dict[int, str] = {}
    ids: dict[str, str] = {}
    id_field = ""
    for row in read_rows(name):
        if isinstance(row, ImportRowError):
            raise InputError(f"{name}: {row}")
        number, cells = row
        label = next((cell for cell in COLUMNS for own in cells if plain(own) == cell), None)
        column = next((own for own in cells if plain(own) == label), None)
        others = [own for own in cells if own != column]
        if column is None or not others:
            raise InputError(
                f"{name}: line {number}: an index from 0 on and a label are needed, or a label and "
                "the field by which the alert is found"
            )
        word = text_of(cells[column])
        if INDEX in cells:
            places[_index(cells, word, name, number)] = word
            continue
        id_field = id_field or others[0]
        if id_field not in cells:
            raise InputError(f"{name}: line {number}: it has no {id_field}, as the first one has")
        ids[text_of(cells[id_field])] = word
    return Words(places, ids, id_field)


def _index(cells: Mapping[str, Any], word: str, name: str, number: int) -> int:
    try:
        return msgspec.convert({INDEX: cells[INDEX], "label": word}, _Label, strict=False).index
    except msgspec.ValidationError as error:
        raise InputError(
            f"{name}: line {number}: an index from 0 on and a label are needed"
        ) from error


def _key(word: str) -> str:
    """A word without case and punctuation; a number as a whole one, if it is."""
    try:
        number = float(word)
    except ValueError:
        return plain(word)
    return str(int(number)) if number in (0.0, 1.0) else word.strip()
