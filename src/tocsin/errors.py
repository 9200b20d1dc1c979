"""Every error Tocsin raises on purpose, as one tree.

TocsinError
├── SettingsError            a setting has a value that cannot work
├── InputError               what somebody sent or named cannot be used
│   ├── PayloadError         an alert that is not JSON, too large, too deep, or not an object
│   ├── SourceError          a source's TOML file says something impossible
│   ├── DecodeError          a field's text does not have the format its decoder reads
│   ├── ImportRowError       one row of an imported file cannot be used
│   └── BundleError          a file is no evidence bundle, or one that cannot be trusted
├── DataQualityError         a record holds what no database may take
├── ConflictError            the same id was used for something else before
├── NotFoundError            there is no such alert, key, file …
├── NotEnough                too few decisions to learn from or to compare models on
├── ModelError               a language model did not give what it was asked for
│   ├── ModelRefused         every provider refuses this request, as it is
│   ├── ReplyUnusable        what came back is not what the schema asks for
│   ├── ProviderFailure      one provider did not answer; the router asks the next
│   └── BudgetSpent          the tokens or the money of the run or the day are used up
└── Unavailable              try again later
    ├── StoreUnavailable     the database does not answer
    ├── BusUnavailable       the broker does not answer
    ├── Busy                 somebody else is doing the same
    ├── ModelUnavailable     no language model answers, or none is configured
    └── Overloaded           too much work is in flight

Each carries a bounded `reason`, which is the label that metrics and the API use, and a message
that tells a person what to do. Messages may hold text from an alert: they are data, never a
format string. What may name a host, an account or a path of the server's own is left out of
`told`, which is all that a caller over the network reads.
"""

from typing import ClassVar


class TocsinError(Exception):
    """Root of the tree; catch it to catch everything that Tocsin raises on purpose."""

    reason: ClassVar[str] = "error"

    @property
    def told(self) -> str:
        """The message for callers over the network, who may be anybody."""
        return str(self)


class SettingsError(TocsinError):
    """A setting has a value that cannot work."""

    reason = "settings"

    @property
    def told(self) -> str:
        """Which setting it is concerns only those who run the server."""
        return "a setting of the server cannot work; its log says which"


class InputError(TocsinError):
    """What somebody sent or named cannot be used."""

    reason = "input"


class PayloadError(InputError):
    """A payload cannot become an alert; `code` is one of a small, documented set.

    Codes: `invalid_json`, `not_an_object`, `too_large`, `too_deep`, `empty`,
    `invalid_encoding`, `unsupported_encoding`.
    """

    reason = "payload"

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SourceError(InputError):
    """A source definition says something impossible; names the file and the entry."""

    reason = "source"


class DecodeError(InputError):
    """A text does not have the format that its decoder reads."""

    reason = "decode"


class ImportRowError(InputError):
    """One row of an imported file cannot be used; names the row's number."""

    reason = "import_row"

    def __init__(self, row: int, message: str) -> None:
        super().__init__(f"row {row}: {message}")
        self.row = row


class BundleError(InputError):
    """A file is no evidence bundle, or holds what no bundle holds."""

    reason = "bundle"


class DataQualityError(TocsinError):
    """A record holds what no database may take; `rule` is one of a small set.

    Rules: `nul`, `not_unicode`, `out_of_range`, `too_long`.
    """

    reason = "data_quality"

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(f"{rule}: {message}")
        self.rule = rule


class ConflictError(TocsinError):
    """The same id was used for something else before."""

    reason = "conflict"


class NotFoundError(TocsinError):
    """There is no such alert, key or file."""

    reason = "not_found"


class NotEnough(TocsinError):
    """There are too few decisions to learn from, or to compare models on; no failure."""

    reason = "not_enough"


class ModelError(TocsinError):
    """A language model did not give what it was asked for; asking again alike will not help."""

    reason = "model"


class ModelRefused(ModelError):
    """Every provider that was asked refuses this request, as it is.

    `detail` is what they said, for whoever asked; it may repeat the prompt, so logs leave it out.
    """

    reason = "model_refused"

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class ReplyUnusable(ModelError):
    """What a model answered is not what the request's schema asks for."""

    reason = "reply_unusable"


class ProviderFailure(ModelError):
    """One provider did not give a reply; the router asks the next, or again later.

    `code` is one of `metrics.MODEL_OUTCOMES`, or `paced`, `busy`, `open` or `budget_spent` where
    it was not asked at all. The text of this error is made of words of ours only, so that logs
    hold no prompt and no key; what the provider said is in `detail`, for whoever asked.
    """

    reason = "provider_failure"

    def __init__(
        self,
        provider: str,
        code: str,
        *,
        status: int = 0,
        retry_after: float | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(f"{provider}: {code}" + (f" ({status})" if status else ""))
        self.provider = provider
        self.code = code
        self.status = status
        self.retry_after = retry_after
        self.detail = detail


class BudgetSpent(ModelError):
    """The tokens or the money of a run or a day are used up; `scope` is `run` or `day`."""

    reason = "budget_spent"

    def __init__(self, scope: str, message: str) -> None:
        super().__init__(message)
        self.scope = scope


class Unavailable(TocsinError):
    """Something that Tocsin needs does not answer now; `retry_after` is in seconds.

    `cause` is what a driver or the system said of it, for those who run the server.
    """

    reason = "unavailable"

    def __init__(self, message: str, retry_after: float = 1.0, *, cause: object = "") -> None:
        super().__init__(f"{message}: {cause}" if cause else message)
        self.message = message
        self.retry_after = retry_after

    @property
    def told(self) -> str:
        """The message without its cause."""
        return self.message


class StoreUnavailable(Unavailable):
    """The database does not answer."""

    reason = "store_unavailable"


class BusUnavailable(Unavailable):
    """The broker does not answer."""

    reason = "bus_unavailable"


class ModelUnavailable(Unavailable):
    """No language model answers now, or none is configured."""

    reason = "model_unavailable"


class Busy(Unavailable):
    """Somebody else is doing what only one can do at a time."""

    reason = "busy"


class Overloaded(Unavailable):
    """More alerts are in flight than the limit allows."""

    reason = "overloaded"
