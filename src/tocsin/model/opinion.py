"""A language model's second opinion: what it may say, and what became of it."""

from datetime import datetime
from typing import Annotated

import msgspec

from tocsin.model.record import Record, Score, Share
from tocsin.model.words import Disposition, LookupTool, OpinionStatus

Sentence = Annotated[str, msgspec.Meta(max_length=600)]
Cites = Annotated[tuple[str, ...], msgspec.Meta(max_length=12)]


class Claim(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that a model says, with the numbers of the evidence (`E3`) that it rests on."""

    text: Sentence
    cites: Cites = ()


class LookupRequest(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A look into our own store that a model asks for.

    `value` is a host, account, address or indicator by its pseudonym; `hours` is how far back;
    `offset` is where an excerpt of the payload begins, in characters.
    """

    tool: LookupTool
    value: Annotated[str, msgspec.Meta(max_length=400)] = ""
    hours: Annotated[int, msgspec.Meta(ge=1, le=720)] = 168
    offset: Annotated[int, msgspec.Meta(ge=0, le=1_048_576)] = 0


class ModelReply(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a model can say. There is no word in it for lowering, closing or acting.

    `raise_to` is a probability of a true positive; one that is not above the verdict's says
    nothing. `assessment` is shown beside the verdict and changes nothing.
    """

    assessment: Disposition
    summary: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    raise_to: Share | None = None
    ask_review: bool = False
    claims: Annotated[tuple[Claim, ...], msgspec.Meta(max_length=16)] = ()
    questions: Annotated[tuple[Sentence, ...], msgspec.Meta(max_length=8)] = ()
    tool_requests: Annotated[tuple[LookupRequest, ...], msgspec.Meta(max_length=4)] = ()


class CheckedClaim(Record, frozen=True, kw_only=True):
    """A claim after code has checked it; `dropped` says why nobody should read it."""

    text: str
    cites: tuple[str, ...] = ()
    dropped: str | None = None


class Lookup(Record, frozen=True, kw_only=True):
    """A look into our own store that was made; `value` is the original, not the pseudonym."""

    tool: LookupTool
    value: str = ""
    hours: int = 0
    rows: int = 0
    ms: float = 0.0
    error: str | None = None


class LedgerStep(Record, frozen=True, kw_only=True):
    """One question to a model: hashes (SHA-256) of what was sent and answered, and the cost."""

    number: int
    prompt_sha256: str
    reply_sha256: str = ""
    model: str = ""
    provider: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    cached: bool = False
    ms: float = 0.0
    error: str | None = None
    lookups: tuple[Lookup, ...] = ()


class Change(Record, frozen=True, kw_only=True):
    """What an opinion does to a verdict. It cannot be built so that anything falls.

    Raises:
        ValueError: the risk would fall, or a review that is required would be taken back.
    """

    risk_before: Score
    risk_after: Score
    review_before: bool
    review_after: bool

    def __post_init__(self) -> None:
        """Hold the rule that an opinion only ever raises."""
        if not self.risk_after >= self.risk_before:
            raise ValueError("an opinion cannot lower a risk")
        if self.review_before and not self.review_after:
            raise ValueError("an opinion cannot take back a review")

    @property
    def raises(self) -> bool:
        """Whether anything is other than it was."""
        return self.risk_after > self.risk_before or self.review_after != self.review_before


class Opinion(Record, frozen=True, kw_only=True):
    """A second opinion, or why there is none.

    `why` says why the model was asked, or was not. `value` is what the answer could change, 0-1.
    `notes` say what was left out of the reply. `change` is there once it was applied.
    """

    alert_id: str
    status: OpinionStatus
    why: str
    value: float = 0.0
    requested_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: int = 0
    model: str | None = None
    assessment: Disposition | None = None
    summary: str = ""
    claims: tuple[CheckedClaim, ...] = ()
    questions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ask_review: bool = False
    raise_to: float | None = None
    change: Change | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    ledger: tuple[LedgerStep, ...] = ()
    error: str | None = None
