"""What closing alerts asks of the store: the policy, its samples, and what came of it."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from tocsin.model import ClassBound, ClosingPolicy, ClosingRules, Dossier, PolicyState, Sample


class ClosingPolicies(Protocol):
    """The policy that closes alerts, read by workers."""

    async def version(self) -> int:
        """A number that changes whenever the policy or its mode does; cheap to ask."""
        ...

    async def policy(self) -> ClosingPolicy | None:
        """The policy now; None when there is none, or none that can be read."""
        ...


class ClosingBook(ClosingPolicies, Protocol):
    """Everything that is kept about closing: what `tocsin.closing.Autoclose` works with."""

    async def state(self) -> PolicyState | None:
        """The newest policy with all that is kept about it.

        Raises:
            DataQualityError: it is stored and cannot be read.
        """
        ...

    async def begin(self, rules: ClosingRules, *, actor: str) -> None:
        """A new policy in shadow mode, in place of the one before; nothing is closed from now."""
        ...

    async def calibrate(
        self, revision: int, bounds: Sequence[ClassBound], model_version: str, *, actor: str
    ) -> None:
        """Keep what the samples prove; its thresholds show in shadow mode what would be closed.

        Raises:
            ConflictError: the policy is not that of `revision` any more.
        """
        ...

    async def enable(
        self, revision: int, reference: Mapping[str, Mapping[int, int]], *, actor: str
    ) -> None:
        """Let the policy close; `reference` is what its scores are compared with from now.

        Raises:
            ConflictError: the policy is not that of `revision` any more.
        """
        ...

    async def switch_off(
        self, reason: str, *, actor: str, revision: int | None = None, tripped: bool = False
    ) -> bool:
        """Close nothing from now on; when this returns, no batch closes any more.

        Args:
            reason: why, shown to people.
            actor: who.
            revision: do it only if the policy is that of this revision.
            tripped: the policy does it itself, and may not be enabled again.

        Returns:
            Whether there was a policy that was not off.
        """
        ...

    async def samples(
        self,
        version: int,
        name: str,
        *,
        limit: int,
        model_version: str = "",
        after: datetime | None = None,
        judged: bool = False,
    ) -> list[Sample]:
        """Samples of a class in the order in which they were drawn, with people's decisions.

        Args:
            version: of the policy that drew them.
            name: the class.
            limit: the most samples that could be closed; the others among them come too.
            model_version: only those that this version of the model judged; empty: all.
            after: only those drawn after a moment.
            judged: only those that people have judged.
        """
        ...

    async def newest_model(self, version: int) -> str:
        """The version of the model that judged the newest sample; empty when there is none."""
        ...

    async def scores(
        self, version: int, since: datetime | None = None
    ) -> Mapping[str, Mapping[str, Mapping[int, int]]]:
        """How many alerts that were not drawn fell into each bin, by class and UTC hour."""
        ...

    async def overdue(self, version: int, before: datetime) -> int:
        """Closable samples from before a moment that nobody has judged."""
        ...

    async def outstanding(self, version: int) -> Counter[str]:
        """Closable samples that nobody has judged, by class."""
        ...

    async def totals(self, version: int) -> tuple[int, int, int]:
        """Alerts that a policy closed; of those: reopened, and called attacks by people."""
        ...

    async def attacks(self, limit: int) -> list[str]:
        """Alerts that people call attacks, those decided last first."""
        ...

    async def judged(self, ids: Sequence[str]) -> list[Dossier]:
        """The dossiers of these alerts, as triage left them."""
        ...

    def history(self, limit: int) -> AsyncIterator[list[Dossier]]:
        """The newest triaged alerts, in chunks."""
        ...
