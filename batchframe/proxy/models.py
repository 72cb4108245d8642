"""`/v1/models`: the provider's, as it shows them, believed for a minute."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from batchframe.errors import ProviderError
from batchframe.providers.base import Reply
from batchframe.proxy.calling import Caller
from batchframe.wire.refusals import Refusal

if TYPE_CHECKING:
    from batchframe.proxy.proxy import Proxy

_BELIEVED_SECONDS = 60.0
_MOST = 200


class Models:
    """What the provider said."""

    def __init__(self) -> None:
        self._said: OrderedDict[str | None, tuple[float, Reply]] = OrderedDict()

    async def look(self, proxy: Proxy, name: str | None) -> Reply:
        """The list, or one model; status 404 when there is none.

        Raises:
            Refusal: the provider does not say.
        """
        until, reply = self._said.get(name, (0.0, None))
        if reply is not None and until > time.monotonic():
            return reply
        try:
            reply = await proxy.provider.models(name)
        except ProviderError as error:
            raise Refusal(502, f"The provider does not answer: {error}", headers={"retry-after": "5"}) from None
        self._said[name] = (time.monotonic() + _BELIEVED_SECONDS, reply)
        if len(self._said) > _MOST:
            self._said.popitem(last=False)
        return reply


async def list_(proxy: Proxy, caller: Caller, request: Request) -> Response:
    """List the models."""
    return Response((await proxy.models.look(proxy, None)).body, media_type="application/json")


async def retrieve(proxy: Proxy, caller: Caller, request: Request) -> Response:
    """Show a model."""
    name = request.path_params["model"]
    reply = await proxy.models.look(proxy, name)
    if reply.status == 404:
        raise Refusal(404, f"The model '{name}' does not exist.", code="model_not_found", param="model")
    return Response(reply.body, media_type="application/json")
