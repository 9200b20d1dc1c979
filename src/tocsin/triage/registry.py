"""The list of everything that is looked at. Its order is the order of the evidence."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from tocsin.model import Evidence
from tocsin.triage import (
    channels,
    commands,
    detections,
    dns,
    entities,
    events,
    files,
    intelligence,
    lookalikes,
    mail,
    prior,
    processes,
    traffic,
    web,
    windows_registry,
)
from tocsin.triage.case import Case

Extractor: TypeAlias = Callable[[Case], Sequence[Evidence]]

# The first one begins with the prior, with which the sum begins.
EXTRACTORS: tuple[Extractor, ...] = (
    prior.claimed,
    intelligence.listed,
    intelligence.well_known,
    entities.authorised,
    entities.asset,
    entities.user,
    traffic.direction,
    traffic.logon,
    traffic.rarity,
    commands.command_line,
    processes.parentage,
    processes.identity,
    processes.parent_command,
    windows_registry.registry,
    files.files,
    web.web,
    dns.dns,
    mail.mail,
    detections.known,
    # What the payload of alerts of no declared source shows.
    events.observed,
    channels.channel,
    lookalikes.named,
    lookalikes.automation,
    lookalikes.window,
)
