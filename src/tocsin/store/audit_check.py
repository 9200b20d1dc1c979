"""Finding what was done to an audit trail behind its back.

Rows and heads come in as they are stored; each chain is followed from its beginning to its head.
What does not fit is a finding with its place. Of a row that was moved, the place where it belongs
is searched among the places that are wrong or empty.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tocsin.audit_chain import BEGUN, GENESIS, REGISTER, AuditRow, Head, Sealer, sealers

FINDINGS = 1000  # kept; more are only counted
SUSPECTS = 100  # rows whose right place is searched
EMPTY_PLACES = 400

Kind = Literal["edited", "removed", "inserted", "re-ordered", "cut off"]


class Finding(NamedTuple):
    """One broken place; `sequence` is None for a whole chain or a head."""

    kind: Kind
    writer: str
    sequence: int | None
    what: str


class ChainCount(NamedTuple):
    """How many rows of one chain were checked."""

    writer: str
    rows: int
    pruned: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found; the trail is intact when there are no findings.

    `unkeyed` counts rows that carry no key's hash although a key was given: written before it was
    set, so that only the rows after them vouch for them. `foreign` says that not one hash was
    right: the key is missing or not the one that they were made with.
    """

    rows: int
    chains: tuple[ChainCount, ...]
    findings: tuple[Finding, ...]
    further: int
    unkeyed: int
    foreign: bool

    @property
    def intact(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


@dataclass(slots=True)
class _Chain:
    """Where one chain stands while its rows come by."""

    head: Head | None = None
    sequence: int = 0
    hash: str | None = None  # of the last row; None where the row before is not known
    origin: str | None = None  # what the first row follows
    keyed: bool = False
    doubt: bool = False  # the last row is wrong itself, so the next need not follow from it
    rows: int = 0


@dataclass(slots=True)
class _Found:
    """Findings, as many as are worth keeping, and what may explain them."""

    kept: list[Finding] = field(default_factory=list)
    further: int = 0
    suspects: dict[int, AuditRow] = field(default_factory=dict)
    empty: list[tuple[str, int]] = field(default_factory=list)

    def add(self, kind: Kind, writer: str, sequence: int | None, what: str) -> None:
        if len(self.kept) < FINDINGS:
            self.kept.append(Finding(kind, writer, sequence, what))
        else:
            self.further += 1

    def missing(self, kind: Kind, writer: str, first: int, last: int) -> None:
        rows = f"row {first}" if first == last else f"rows {first} to {last}"
        verb = "is" if first == last else "are"
        self.add(kind, writer, first, f"{rows} {verb} missing")
        room = EMPTY_PLACES - len(self.empty)
        self.empty.extend((writer, n) for n in range(first, min(last, first + room - 1) + 1))

    def wrong(self, row: AuditRow, what: str) -> None:
        if len(self.suspects) < SUSPECTS and len(self.kept) < FINDINGS:
            self.suspects[len(self.kept)] = row
        self.add("edited", row.writer, row.sequence, what)

    def explain(self, hashes: Sequence[Sealer]) -> None:
        """Say of rows that are right elsewhere that they were moved."""
        places = [(row.writer, row.sequence) for row in self.suspects.values()] + self.empty
        for index, row in self.suspects.items():
            for writer, sequence in places:
                moved = row._replace(writer=writer, sequence=sequence)
                if moved[:2] != row[:2] and any(s.hash(moved) == row.hash for s in hashes):
                    what = f"holds row {sequence} of {writer}"
                    self.kept[index] = Finding("re-ordered", row.writer, row.sequence, what)
                    break


class Checker:
    """Takes all heads, then all rows with each chain in order, and reports.

    Args:
        keys: the setting `audit_key`; with a key, rows without one are taken only from before the
            first that has it.
        anchors: heads from an earlier export: the chains must still hold those rows.
    """

    def __init__(self, keys: str = "", anchors: Sequence[Head] = ()) -> None:
        keyed = sealers(keys)
        self._given = bool(keyed)
        self._sealers = (*keyed, Sealer())
        self._anchors = {anchor.writer: anchor for anchor in anchors}
        self._chains: dict[str, _Chain] = {}
        self._begun: dict[str, tuple[str, bool]] = {}
        self._found = _Found()
        self._right = self._unkeyed = 0
        self.rows = 0

    def head(self, head: Head) -> None:
        """Take a head as it is stored."""
        writer = str(head.writer)
        chain = self._chains.setdefault(writer, _Chain())
        if chain.head is not None:
            self._found.add("inserted", writer, None, "the chain has a second head")
            return
        chain.head = head
        if not isinstance(head.sequence, int) or not isinstance(head.pruned, int):
            self._found.add("edited", writer, None, "the head is not one")
            chain.head = Head(writer, 0, "", 0, "")
        elif head.pruned > 0:
            chain.sequence, chain.doubt = head.pruned, True
        elif writer == REGISTER:
            chain.hash = GENESIS

    def row(self, row: AuditRow) -> None:
        """Take the next row as it is stored."""
        self.rows += 1
        writer = row.writer
        chain = self._chains.get(writer)
        if chain is None:
            chain = self._chains[str(writer)] = _Chain()
        chain.rows += 1
        keyed = self._keyed(row)
        if (
            keyed is None
            or row.sequence != chain.sequence + 1
            or row.previous_hash != chain.hash
            or keyed is not chain.keyed
        ):
            if not self._place(chain, row, keyed):
                return
            chain.keyed = chain.keyed or bool(keyed)
        else:
            chain.doubt = False
        chain.sequence, chain.hash = row.sequence, row.hash
        if keyed is not None:
            self._right += 1
            self._unkeyed += self._given and not keyed
            if writer == REGISTER and row.action == BEGUN:
                self._begun[row.subject] = (row.hash, keyed)
        anchor = self._anchors.get(writer)
        if anchor is not None and anchor.sequence == row.sequence:
            del self._anchors[writer]
            if anchor.hash != row.hash:
                self._found.add("edited", writer, row.sequence, "is not what was exported")

    def missing(self, table: str) -> None:
        """Take it that a table is not there."""
        self._found.add("removed", "", None, f"the table {table} is missing")

    def unreadable(self, place: str) -> None:
        """Take something that is neither a row nor a head."""
        self._found.add("edited", "", None, f"{place} cannot be read")

    def report(self) -> Report:
        """What was found, once everything was taken."""
        for writer, chain in self._chains.items():
            self._end(writer, chain)
        for writer in self._begun.keys() - self._chains.keys():
            self._found.add("cut off", writer, None, "the whole chain is missing")
        if REGISTER not in self._chains:
            self._found.add("removed", REGISTER, None, "the register of chains is missing")
        self._check_anchors()
        if self._given and self._unkeyed == self._right:
            self._found.add("edited", REGISTER, None, "no row at all carries the key's hash")
        self._found.explain(self._sealers)
        counts = (
            ChainCount(writer, chain.rows, chain.head.pruned if chain.head else 0)
            for writer, chain in sorted(self._chains.items())
        )
        foreign = bool(self.rows) and not self._right
        found = tuple(self._found.kept)
        return Report(self.rows, tuple(counts), found, self._found.further, self._unkeyed, foreign)

    def _keyed(self, row: AuditRow) -> bool | None:
        """Whether the row's hash was made with a key; None if it is not right."""
        for sealer in self._sealers:
            if sealer.hash(row) == row.hash:
                return sealer.keyed
        return None

    def _place(self, chain: _Chain, row: AuditRow, keyed: bool | None) -> bool:
        """Find out what is unusual about a row; False if the chain does not go on from it."""
        writer, sequence, found = row.writer, row.sequence, self._found
        if not isinstance(sequence, int) or not isinstance(writer, str):
            found.add("edited", str(writer), None, "a row's writer or sequence is not one")
            return False
        first = chain.rows == 1 and sequence == 1
        if sequence <= chain.sequence:
            moved = keyed is not None and (writer, sequence) in found.empty
            kind: Kind = "re-ordered" if moved else "inserted"
            found.add(kind, writer, sequence, f"comes after row {chain.sequence}")
            return False
        doubt, chain.doubt = chain.doubt, keyed is None
        if sequence > chain.sequence + 1:
            found.missing("removed", writer, chain.sequence + 1, sequence - 1)
            doubt = True
        if first and chain.hash is None:
            chain.origin = row.previous_hash if keyed is not None else None
            doubt = True
        if keyed is None:
            found.wrong(row, "is not what was written")
        elif chain.keyed and not keyed:
            found.wrong(row, "does not carry the key's hash, and rows before it do")
        elif row.previous_hash != chain.hash and not doubt:
            found.wrong(row, f"does not follow from row {sequence - 1}: one of them was replaced")
        elif keyed and not chain.keyed and chain.rows > 1 and writer != REGISTER and not doubt:
            found.wrong(row, "carries the key's hash, and rows before it do not")
        return True

    def _end(self, writer: str, chain: _Chain) -> None:
        """Compare the rows' end with what the head says, and their beginning with the register."""
        head, found, begun = chain.head, self._found, self._begun.get(writer)
        keyed = chain.keyed or (begun is not None and begun[1])
        if head is None:
            found.add("removed", writer, None, "the chain has no head")
        elif not self._sealed(head, keyed):
            found.add("edited", writer, None, "the head is not what was written")
        elif head.sequence > chain.sequence:
            found.missing("cut off", writer, chain.sequence + 1, head.sequence)
        elif head.sequence < chain.sequence:
            more = f"rows after {head.sequence} were added: the chain ends there"
            found.add("inserted", writer, head.sequence + 1, more)
        elif chain.rows and not chain.doubt and head.hash != chain.hash:
            found.add("edited", writer, chain.sequence, "is not the row that the head names")
        if writer == REGISTER:
            return
        if begun is None:
            found.add("inserted", writer, None, "the register does not know this chain")
        elif chain.origin is not None and (chain.origin, chain.keyed) != begun:
            found.add("edited", writer, 1, "does not follow from the register")

    def _sealed(self, head: Head, keyed: bool) -> bool:
        """Whether the head's seal is right; one without a key only where the rows have none."""
        return any(
            sealer.seal(head.writer, head.sequence, head.hash, head.pruned) == head.seal
            for sealer in self._sealers
            if sealer.keyed or not keyed
        )

    def _check_anchors(self) -> None:
        for writer, anchor in self._anchors.items():
            chain = self._chains.get(writer)
            pruned = chain.head.pruned if chain is not None and chain.head is not None else 0
            if anchor.sequence > pruned:
                what = f"an earlier export holds rows up to {anchor.sequence}"
                self._found.add("cut off", writer, anchor.sequence, what)


def places(findings: Sequence[Finding]) -> Iterator[str]:
    """One line of text for each finding."""
    for finding in findings:
        row = "" if finding.sequence is None else f" row {finding.sequence}:"
        chain = finding.writer and f" {finding.writer}{row}"
        yield f"{finding.kind}:{chain} {finding.what}"
