"""The expert weights: read from `weights.toml`, checked, and given a version."""

import hashlib
import importlib.resources
import math
import tomllib
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from tocsin.errors import SettingsError
from tocsin.model import DetectionKind, DetectionStatus, Severity, ThreatLevel

T = TypeVar("T")

FILE = "weights.toml"
# What else evidence is made from.
TABLES = ("families.toml", "commands.toml", "words.toml", "concepts.toml", "roles.toml")
MODEL = "expert-1+"


class Weight(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number with its reason."""

    weight: float
    why: str


class StagedWeight(Weight, frozen=True, forbid_unknown_fields=True):
    """A weight of an activity, with how far along an attack (0 to 1) it stands."""

    stage: float


class AuthorisedWeight(Weight, frozen=True, forbid_unknown_fields=True):
    """A lowering weight of an inventory tag, with the rule families that the tag explains."""

    families: frozenset[str]


class IntelWeights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weights of intelligence: level by factor by confidence, within the limits."""

    level: dict[ThreatLevel, Weight]
    factor: dict[str, Weight]
    limit: dict[str, Weight]


class Weights(msgspec.Struct, frozen=True, eq=False, forbid_unknown_fields=True):
    """The whole file, one attribute per section; hashed by identity, so that it can key a cache."""

    source: dict[str, Weight]
    family: dict[str, StagedWeight]
    severity: dict[Severity, Weight]
    tactic: dict[str, StagedWeight]
    technique: dict[str, Weight]
    intel: IntelWeights
    asset: dict[str, Weight]
    user: dict[str, Weight]
    network: dict[str, Weight]
    logon: dict[str, Weight]
    rarity: dict[str, Weight]
    command: dict[str, Weight]
    process: dict[str, Weight]
    registry: dict[str, Weight]
    file: dict[str, Weight]
    web: dict[str, Weight]
    dns: dict[str, Weight]
    mail: dict[str, Weight]
    authorised: dict[str, AuthorisedWeight]
    claim: dict[str, Weight]
    observed: dict[str, Weight]
    detection: dict[str, Weight]
    channel: dict[str, Weight]
    lookalike: dict[str, Weight]
    impact: dict[str, Weight]
    confidence: dict[str, Weight]
    threshold: dict[str, Weight]


def data_file(name: str) -> bytes:
    """The bytes of a file that ships beside this module."""
    return (importlib.resources.files(__package__) / name).read_bytes()


def playbook_files() -> dict[str, bytes]:
    """The shipped playbooks by name, in the order of their names."""
    folder = importlib.resources.files(__package__) / "playbooks"
    found = [entry for entry in folder.iterdir() if entry.name.endswith(".toml")]
    return {entry.name: entry.read_bytes() for entry in sorted(found, key=lambda each: each.name)}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What the code asks for by name; a section that lacks one of these cannot be used.
REQUIRED: Mapping[str, frozenset[str]] = {
    "source": frozenset({"other"}),
    "severity": frozenset(Severity),
    "intel.level": frozenset(ThreatLevel) - {ThreatLevel.UNKNOWN},
    "intel.factor": frozenset(
        [
            "outbound_destination",
            "destination",
            "inbound_source",
            "source",
            "file",
            "url",
            "name",
            "mail",
            "mention",
            "wider_match",
            "further_hit",
        ]
    ),
    "intel.limit": frozenset({"known_good_cap", "least_confidence", "known_good_destination"}),
    "asset": frozenset({"honeypot", "exposed_target", "domain_controller"}),
    "user": frozenset({"disabled", "disabled_failed", "privileged", "unknown"}),
    "network": frozenset({"outbound_attack", "lateral", "inbound_blocked", "outbound_blocked"}),
    "logon": frozenset({"success_after_failures", "failure", "many_failures"}),
    "rarity": frozenset({"new_rule", "new_destination"}),
    "command": frozenset(tomllib.loads(data_file("commands.toml").decode())) | {"limit"},
    "process": _names(
        "office_child browser_child web_child runtime_child database_child service_child "
        "management_child script_child scheduler_child logon_child chat_child "
        "strange_parent strange_place like_system disguised_name writable_place "
        "attack_tool parent_command"
    ),
    "registry": _names(
        "autostart autostart_writable service logon_process debugger component "
        "loaded_library logon_script consent_bypass protection_off logging_off "
        "recovery_off credentials_open remote_access hidden_account hidden_task traces "
        "safe_mode hides_files user_interface certificate macros tool_trace command"
    ),
    "file": _names(
        "double_extension temporary_program script lure reordered memory_dump "
        "credential_store web_shell autostart ransom attack_tool recon_tool remote_tool "
        "strange_place system_library odd_folder"
    ),
    "web": _names(
        "exploit_text command_text tool_agent program_download bare_address "
        "credentials encoded_path redirect punycode brand many_labels dynamic_name "
        "callback file_sharing rare_domain panel"
    ),
    "dns": _names("generated tunnel text_record"),
    "mail": _names(
        "look_alike brand punycode display_name executive urgency payment attachment dynamic_name"
    ),
    # What alerts of no declared source show.
    "claim": frozenset({"in_values", "in_names", "nothing_shown", "beside_event"}),
    "channel": frozenset({"odd_port", "upload", "regular", "long"}),
    "lookalike": frozenset({"automation", "window"}),
    "detection": frozenset(
        {"risk_score", "mistakes_known", "mistakes_unlikely"}
        | {"level_" + level for level in Severity}
        | {"kind_" + kind for kind in DetectionKind if kind is not DetectionKind.RULE}
        | {"status_" + status for status in DetectionStatus}
    ),
    "observed": frozenset(
        [
            "failed",
            "failed_try",
            "failed_as_claimed",
            "read_only",
            "contrary",
            "anonymous",
            "root",
            "break_glass",
            "provider",
            "from_provider",
            "from_private",
            "hidden",
            "without_factor",
            "risky",
            "unfamiliar",
            "open_to_all",
            "shared_widely",
            "administrator",
            "wildcard",
            "unconfined",
            "into_container",
            "protection_off",
            "control_off",
            "new_credential",
            "rights_changed",
            "export",
            "sharing",
            "many",
            "much",
            "too_long",
            "limit",
        ]
    ),
    "impact": frozenset(
        [
            "asset_critical",
            "asset_high",
            "asset_medium",
            "asset_low",
            "asset_unknown",
            "asset_unrated",
            "user_privileged",
            "user_ordinary",
            "user_unknown",
            "stage_unknown",
            "exposed",
            "entity_share",
        ]
    ),
    "confidence": frozenset(
        [
            "rule",
            "time",
            "asset",
            "user",
            "direction",
            "intelligence",
            "history",
            "further_gap",
            "least",
        ]
    ),
    "threshold": frozenset(
        [
            "true_positive",
            "false_positive",
            "benign_positive",
            "closing_confidence",
            "review_confidence",
            "review_risk",
            "review_critical",
        ]
    ),
}
# What attackers can write may only raise, so weights of such sections cannot be negative; and
# what lowers on the inventory's word cannot be positive.
ONLY_RAISING = (
    *("intel.level", "intel.factor", "rarity", "user", "channel"),
    *("command", "process", "registry", "file", "web", "dns", "mail"),
)
ONLY_LOWERING = ("authorised", "lookalike")
SHARES = ("impact",)


def load(text: bytes | None = None) -> tuple[Weights, str]:
    """The weights and their version, from the given TOML or from the shipped file.

    The version names the model and the first 12 hexadecimal digits of the SHA-256 of this file, of
    the tables of words and of the playbooks, so that a stored verdict says exactly which of them
    made it.

    Raises:
        SettingsError: the file is not TOML, lacks an entry, or has a number that cannot work.
    """
    content = text if text is not None else data_file(FILE)
    weights = convert(content, Weights, FILE)
    _check(weights)
    tables = [content, *(data_file(name) for name in TABLES), *playbook_files().values()]
    return weights, MODEL + hashlib.sha256(b"\n".join(tables)).hexdigest()[:12]


def convert(content: bytes, into: type[T], name: str) -> T:
    """Read TOML as the given record.

    Raises:
        SettingsError: names the file and the entry that is wrong.
    """
    try:
        table: dict[str, Any] = tomllib.loads(content.decode())
        return msgspec.convert(table, into)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsError("triage/" + name + ": " + str(error)) from error


def section(weights: Weights, name: str) -> Mapping[str, Weight]:
    """The entries of a section, whose name may be dotted."""
    found: Any = weights
    for part in name.split("."):
        found = getattr(found, part)
    entries: Mapping[str, Weight] = found
    return entries


def _check(weights: Weights) -> None:
    wrong: list[str] = []
    for name in SECTIONS:
        entries = section(weights, name)
        missing = REQUIRED.get(name, frozenset()) - entries.keys()
        wrong += [name + ": lacks " + entry for entry in sorted(missing)]
        for key, entry in entries.items():
            wrong += [name + "." + key + ": " + what for what in _faults(name, entry)]
    for tag, entry in weights.authorised.items():
        unknown = entry.families - weights.family.keys()
        wrong += ["authorised." + tag + ": no family " + family for family in sorted(unknown)]
    if wrong:
        raise SettingsError("triage/" + FILE + ": " + "; ".join(wrong))


def _faults(name: str, entry: Weight) -> list[str]:
    faults = []
    if not math.isfinite(entry.weight):
        faults.append("weight is not a number")
    if name in ONLY_RAISING and entry.weight < 0:
        faults.append("may not lower")
    if name in ONLY_LOWERING and entry.weight > 0:
        faults.append("may not raise")
    if name in SHARES and not 0 <= entry.weight <= 1:
        faults.append("is not within 0 and 1")
    if isinstance(entry, StagedWeight) and not 0 <= entry.stage <= 1:
        faults.append("stage is not within 0 and 1")
    if len(entry.why) < 8:
        faults.append("has no reason")
    return faults


SECTIONS = (
    *(name for name in Weights.__struct_fields__ if name != "intel"),
    "intel.level",
    "intel.factor",
    "intel.limit",
)
