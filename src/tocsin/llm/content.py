"""What makes two requests the same, so that the second need not be asked."""

from hashlib import sha256

import msgspec

from tocsin.ports import ChatRequest
from tocsin.settings import ModelProvider

VERSION = 1  # of what a reply means; raise it when kept replies must no longer be used


def content_key(request: ChatRequest, provider: ModelProvider) -> bytes:
    """32 bytes that stand for the model and everything that shapes its reply.

    Run, purpose and deadline do not: they say who pays and who waits.
    """
    content = (
        VERSION,
        provider.kind,
        provider.url,
        provider.model,
        provider.deployment,
        [(message["role"], message["content"]) for message in request.messages],
        request.schema,
        request.max_tokens,
        request.seed,
        request.temperature,
    )
    return sha256(msgspec.json.encode(content, order="sorted")).digest()
