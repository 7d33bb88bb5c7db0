"""A proxy between Prefect's clients and their server, which counts requests and passes on everything else."""

from __future__ import annotations

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

LIMIT_BYTES = 1 << 20


class CountingProxy:
    """`url` is what clients are given; `requests` are `METHOD path` as they came."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._host, self._port, self._path = parts.hostname or "", parts.port or 80, parts.path
        self.requests: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        opened = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._carry, "127.0.0.1", 0, limit=LIMIT_BYTES), self._loop
        )
        self._server = opened.result()
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}{self._path}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Carry one connection, both ways, until either side ends it."""
        there, thence = await asyncio.open_connection(self._host, self._port, limit=LIMIT_BYTES)
        back = asyncio.create_task(_pass_all(there, writer))
        try:
            await self._pass_requests(reader, thence)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            back.cancel()
            for one in (thence, writer):
                one.close()

    async def _pass_requests(self, reader: StreamReader, writer: StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            first, *fields = head.decode("latin-1").split("\r\n")
            self.requests.append(first.rpartition(" ")[0])
            names = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
            assert "transfer-encoding" not in names, head
            writer.write(head + await reader.readexactly(int(names.get("content-length", "0"))))
            await writer.drain()
            if "upgrade" in names:  # a websocket: no requests any more
                await _pass_all(reader, writer)
                return


async def _pass_all(reader: StreamReader, writer: StreamWriter) -> None:
    try:
        while chunk := await reader.read(LIMIT_BYTES):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
