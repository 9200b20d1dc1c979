"""Reading small XML documents into plain objects; document types and entities are refused."""

from typing import Any
from xml.parsers import expat  # the low-level parser: what it must not do is refused below

from tocsin.errors import DecodeError

MAX_DEPTH = 64
MAX_NODES = 20_000


class _Builder:
    """Collects expat's callbacks into nested dictionaries."""

    def __init__(self) -> None:
        self.root: dict[str, Any] = {}
        self._open: list[tuple[str, dict[str, Any], list[str]]] = [("", self.root, [])]
        self._nodes = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._nodes += 1
        if len(self._open) > MAX_DEPTH or self._nodes > MAX_NODES:
            raise DecodeError("the XML is too deep or too large")
        node: dict[str, Any] = {"#attributes": attributes} if attributes else {}
        self._open.append((name.rpartition(":")[2], node, []))

    def text(self, data: str) -> None:
        self._open[-1][2].append(data)

    def end(self, _name: str) -> None:
        name, node, texts = self._open.pop()
        text = "".join(texts).strip()
        value: Any = node
        if not node:
            value = text or None
        elif text:
            node["#text"] = text
        parent = self._open[-1][1]
        if name not in parent:
            parent[name] = value
        elif isinstance(parent[name], list):
            parent[name].append(value)
        else:
            parent[name] = [parent[name], value]


def parse_xml(text: str) -> dict[str, Any]:
    """Turn an XML document into an object: `{"Event": {"System": {"EventID": "1"}}}`.

    Attributes stand under `#attributes`, text beside them or beside children under `#text`;
    repeated elements become a list; name space prefixes are dropped. All values are text.

    Raises:
        DecodeError: it is not well-formed, too large, or brings a document type.
    """
    builder = _Builder()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    try:
        parser.Parse(text.strip().encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise DecodeError(f"not well-formed XML: {expat.ErrorString(error.code)}") from error
    return builder.root


def _refuse(*_arguments: object) -> int:
    raise DecodeError("XML with a document type is refused")
