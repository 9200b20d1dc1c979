"""Servers that speak as OpenAI, Azure and Anthropic do, over real HTTP, and misbehave when told.

They run as threads of the test's process on free loopback ports. Each remembers what it was sent.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], bytes | Iterator[bytes]]
Behaviour = Callable[["ModelServer", dict[str, Any]], Reply]


@dataclass
class Seen:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class ModelServer:
    """A running server; `behave` answers the chat requests, the first of `script` before it."""

    url: str = ""
    behave: Behaviour = field(default_factory=lambda: say("pong"))
    script: list[Behaviour] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    probes: int = 0
    at_once: int = 0
    most_at_once: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def prompts(self) -> list[str]:
        return [str(one.body["messages"][-1]["content"]) for one in self.seen]


def say(text: str, *, usage: Any = "right", model: str = "tiny", reason: str = "stop") -> Behaviour:
    """Answer with this text; `usage` is `right`, None for none, or what to claim."""

    def answer(_: ModelServer, body: dict[str, Any]) -> Reply:
        prompt = sum(len(str(m["content"])) for m in body["messages"]) // 4 + 4
        counted = {"prompt_tokens": prompt, "completion_tokens": len(text) // 4 + 1}
        reply: dict[str, Any] = {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
            "choices": [{"index": 0, "finish_reason": reason,
                         "message": {"role": "assistant", "content": text}}],
        }  # fmt: skip
        if usage is not None:
            reply["usage"] = counted if usage == "right" else usage
        return 200, {}, json.dumps(reply).encode()

    return answer


def claude(text: str, *, usage: Any = "right", reason: str = "end_turn") -> Behaviour:
    """The same in Anthropic's shape."""

    def answer(_: ModelServer, body: dict[str, Any]) -> Reply:
        prompt = sum(len(str(m["content"])) for m in body["messages"]) // 4 + 4
        reply: dict[str, Any] = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": body["model"],
            "content": [{"type": "thinking", "thinking": "hm", "signature": "x"},
                        {"type": "text", "text": text}],
            "stop_reason": reason, "stop_sequence": None,
            "usage": {"input_tokens": prompt, "output_tokens": len(text) // 4 + 1},
        }  # fmt: skip
        if usage != "right":
            reply["usage"] = usage
        return 200, {}, json.dumps(reply).encode()

    return answer


def fail(status: int, message: str = "no", **headers: str) -> Behaviour:
    """Answer with an error; `retry_after="1"` becomes a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(_: ModelServer, __: dict[str, Any]) -> Reply:
        body = {"error": {"message": message, "type": "x", "param": None, "code": None}}
        return status, named, json.dumps(body).encode()

    return answer


def refuse_parameter(name: str, otherwise: Behaviour) -> Behaviour:
    """As servers do that do not know a parameter."""

    def answer(server: ModelServer, body: dict[str, Any]) -> Reply:
        if name not in body:
            return otherwise(server, body)
        said = {"message": f"Unsupported parameter: '{name}' is not supported", "param": name,
                "type": "invalid_request_error", "code": "unsupported_parameter"}  # fmt: skip
        return 400, {}, json.dumps({"error": said}).encode()

    return answer


def raw(body: bytes, status: int = 200, **headers: str) -> Behaviour:
    """Answer with just these bytes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _, __: (status, named, body)


def hang(seconds: float = 30) -> Behaviour:
    """Say nothing for a long time, or until the server ends."""

    def answer(server: ModelServer, body: dict[str, Any]) -> Reply:
        server.released.wait(seconds)
        return say("late")(server, body)

    return answer


def slow(seconds: float, otherwise: Behaviour) -> Behaviour:
    """Answer after a while."""

    def answer(server: ModelServer, body: dict[str, Any]) -> Reply:
        time.sleep(seconds)
        return otherwise(server, body)

    return answer


def drip(seconds: float) -> Behaviour:
    """Begin an answer at once and send it a byte at a time."""

    def answer(server: ModelServer, body: dict[str, Any]) -> Reply:
        def parts() -> Iterator[bytes]:
            end = time.monotonic() + seconds
            while time.monotonic() < end and not server.released.is_set():
                yield b" "
                time.sleep(0.02)
            yield say("late")(server, body)[2]  # type: ignore[misc]  # it is bytes

        return 200, {}, parts()

    return answer


def _handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            return

        def do_GET(self) -> None:
            server.probes += 1
            self._send(200, {}, b'{"object": "list", "data": []}')

        def do_POST(self) -> None:
            size = int(self.headers.get("content-length", 0))
            body = json.loads(self.rfile.read(size))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with server.lock:
                server.seen.append(Seen(self.path, headers, body))
                behave = server.script.pop(0) if server.script else server.behave
                server.at_once += 1
                server.most_at_once = max(server.most_at_once, server.at_once)
            try:
                status, extra, reply = behave(server, body)
            finally:
                with server.lock:
                    server.at_once -= 1
            self._send(status, extra, reply)

        def _send(self, status: int, extra: dict[str, str], reply: bytes | Iterator[bytes]) -> None:
            with contextlib.suppress(OSError):
                self.send_response(status)
                for name, value in {"content-type": "application/json", **extra}.items():
                    self.send_header(name, value)
                if isinstance(reply, bytes):
                    self.send_header("content-length", str(len(reply)))
                    self.end_headers()
                    self.wfile.write(reply)
                    return
                self.send_header("connection", "close")
                self.end_headers()
                for part in reply:
                    self.wfile.write(part)
                self.close_connection = True

    return Handler


@contextlib.contextmanager
def serving(behave: Behaviour | None = None) -> Iterator[ModelServer]:
    """A server for a test; ended with it."""
    model = ModelServer()
    if behave is not None:
        model.behave = behave
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(model))
    http.daemon_threads = True
    http.block_on_close = False
    model.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield model
    finally:
        model.released.set()
        http.shutdown()
        http.server_close()
        thread.join()
