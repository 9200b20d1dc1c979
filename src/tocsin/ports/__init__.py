"""The shapes that others plug into.

Steps see the rest of the system only through these protocols; `app.py` decides which adapter
stands behind each. Everything works on batches: one call per batch, never one per alert.
"""

from tocsin.ports.bus import DEAD_LETTERS, Bus, Delivery
from tocsin.ports.casework import (
    Extent,
    Grouping,
    Incidents,
    Met,
    Move,
    Placed,
    Trail,
)
from tocsin.ports.closing import ClosingBook, ClosingPolicies
from tocsin.ports.intake import Accepted, Intake, NewAlert
from tocsin.ports.learning import Learner, Models
from tocsin.ports.llm import (
    Budget,
    ChatMessage,
    ChatModel,
    ChatReply,
    ChatRequest,
    ModelAccounts,
    ModelCall,
    ReplyCache,
)
from tocsin.ports.opinions import (
    Lookups,
    OpinionRequest,
    Opinions,
    OpinionWork,
    PastAlert,
)
from tocsin.ports.questions import (
    RULE_HOST,
    DetectionSource,
    EntityKey,
    History,
    IndicatorSource,
    Inventory,
    rule_host,
)
from tocsin.ports.steps import (
    Failure,
    Resources,
    Step,
    Work,
)

__all__ = [
    "DEAD_LETTERS",
    "RULE_HOST",
    "Accepted",
    "Budget",
    "Bus",
    "ChatMessage",
    "ChatModel",
    "ChatReply",
    "ChatRequest",
    "ClosingBook",
    "ClosingPolicies",
    "Delivery",
    "DetectionSource",
    "EntityKey",
    "Extent",
    "Failure",
    "Grouping",
    "History",
    "Incidents",
    "IndicatorSource",
    "Intake",
    "Inventory",
    "Learner",
    "Lookups",
    "Met",
    "ModelAccounts",
    "ModelCall",
    "Models",
    "Move",
    "NewAlert",
    "OpinionRequest",
    "OpinionWork",
    "Opinions",
    "PastAlert",
    "Placed",
    "ReplyCache",
    "Resources",
    "Step",
    "Trail",
    "Work",
    "rule_host",
]
