"""What is learned from decisions: where models are kept, and what makes them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from tocsin.model import Decided, Dossier, Example, Learned, ModelMetrics


class Models(Protocol):
    """The registry of learned models."""

    async def version(self) -> int:
        """A number that changes whenever the champion changes; cheap to ask."""
        ...

    async def champion(self) -> Learned | None:
        """The model that is live; None stands for the expert model that ships with Tocsin."""
        ...


class Learner(Protocol):
    """The mathematics of learning; what has it is loaded only where something is learned."""

    def fit(
        self,
        examples: Sequence[Example],
        *,
        seed: int = 0,
        by_rule: Mapping[str, Decided] | None = None,
    ) -> Learned:
        """A model of these decisions; the same decisions and seed give the same bytes.

        `by_rule`: how all alerts of each rule stand decided, where the examples are only some.
        """
        ...

    def levelled(self, learned: Learned, dossiers: Iterable[Dossier]) -> Learned:
        """The model with the levels of the rules of these alerts that nobody has decided on."""
        ...

    def assess(self, learned: Learned | None, examples: Sequence[Example]) -> ModelMetrics:
        """How good a model is on decisions; None stands for the expert model that ships."""
        ...
