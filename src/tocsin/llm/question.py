"""From a request to what one provider is asked."""

from tocsin.errors import InputError
from tocsin.llm.provider import Question
from tocsin.llm.structure import check_schema, instruction
from tocsin.ports import ChatMessage, ChatRequest

ROLES = ("system", "user", "assistant")
MOST_BYTES = 2 * 1024 * 1024
MOST_TOKENS = 128_000


def check(request: ChatRequest) -> None:
    """Refuse what no provider could answer.

    Raises:
        InputError: says what is wrong.
    """
    if not request.messages:
        raise InputError("messages: there must be at least one")
    for place, message in enumerate(request.messages):
        if message["role"] not in ROLES:
            raise InputError(f"messages[{place}].role: one of {', '.join(ROLES)}")
    size = sum(len(m["content"].encode("utf-8", "surrogatepass")) for m in request.messages)
    if size > MOST_BYTES:
        raise InputError(f"messages: they may have {MOST_BYTES} bytes, not {size}")
    if not 1 <= request.max_tokens <= MOST_TOKENS:
        raise InputError(f"max_tokens: 1 to {MOST_TOKENS}")
    if not 0 <= request.temperature <= 2:
        raise InputError("temperature: 0 to 2")
    if request.schema is not None:
        check_schema(request.schema)


def question_of(request: ChatRequest, form: str) -> Question:
    """The question, with the schema in words where the provider has no parameter for it."""
    messages = tuple(_clean(message) for message in request.messages)
    if request.schema is not None and form != "schema":
        asked = instruction(request.schema)
        if messages[0]["role"] == "system":
            both = f"{messages[0]['content']}\n\n{asked['content']}"
            messages = (ChatMessage(role="system", content=both), *messages[1:])
        else:
            messages = (asked, *messages)
    return Question(
        messages=messages,
        schema=request.schema,
        form=form,
        max_tokens=request.max_tokens,
        seed=request.seed,
        temperature=request.temperature,
    )


def _clean(message: ChatMessage) -> ChatMessage:
    """Text that every server takes: no halves of characters."""
    content = message["content"].encode("utf-8", "backslashreplace").decode()
    return ChatMessage(role=message["role"], content=content)
