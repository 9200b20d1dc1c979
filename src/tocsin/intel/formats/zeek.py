"""Zeek's intelligence files: tab-separated, with a `#fields` line that names the columns."""

from tocsin.errors import ImportRowError
from tocsin.intel.formats.lines import Lines
from tocsin.intel.formats.row import Row, Rows, shown
from tocsin.model import ObservableType

_KINDS = {
    "ADDR": ObservableType.IP,
    "SUBNET": ObservableType.CIDR,
    "URL": ObservableType.URL,
    "DOMAIN": ObservableType.DOMAIN,
    "EMAIL": ObservableType.EMAIL,
    "FILE_HASH": ObservableType.HASH,
    "CERT_HASH": ObservableType.HASH,
}
_UNSET = frozenset({"-", "(empty)", ""})


def zeek(lines: Lines) -> Rows:
    """Rows by the columns `indicator`, `indicator_type`, `meta.source`, `meta.desc`."""
    fields: list[str] = []
    for number, line in lines:
        if line.startswith("#fields"):
            fields = line.split("\t")[1:]
            continue
        if line.startswith("#") or not line.strip():
            continue
        if "indicator" not in fields:
            yield ImportRowError(number, "there is no #fields line with an indicator column above")
            continue
        record = dict(zip(fields, line.split("\t"), strict=False))
        yield _row(number, record)


def _row(number: int, record: dict[str, str]) -> Row | ImportRowError:
    value = record.get("indicator", "").strip()
    name = record.get("indicator_type", "").strip()
    kind = _KINDS.get(name.removeprefix("Intel::"))
    if name and kind is None:
        return ImportRowError(number, f"indicators of type {shown(name)} cannot be matched")
    if kind is ObservableType.URL and "://" not in value:
        value = f"http://{value}"  # Zeek writes URLs without their scheme
    tags = tuple(
        text
        for column in ("meta.source", "meta.desc")
        if (text := record.get(column, "").strip()) not in _UNSET
    )
    note = record.get("meta.url", "").strip()
    return Row(
        number=number,
        value=value,
        kind=kind,
        tags=tags if len(" ".join(tags)) < 100 else tags[:1],
        description=note if note not in _UNSET else (tags[-1] if tags else None),
    )
