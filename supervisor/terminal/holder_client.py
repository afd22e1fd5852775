"""The supervisor's end of a holder: starting one, and talking to one that runs.

What must not regress: every call has a deadline, so a holder that is stopped or wedged costs a `HolderTimeout` and not
a stuck supervisor; starting leaves no zombie; losing the connection is told once, and is not the same as the child's
exit. The callbacks run in the event loop, in the order of the holder's frames.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from shared.errors import PilotlightError
from shared.foreign_file import read_end
from shared.frames import CHUNK, BadFrame, Decoder, read_offset
from shared.private_folders import require_private
from supervisor.holder import files
from supervisor.holder.protocol import (
    JSON,
    MAX_FRAME,
    MAX_WRITE,
    decode_json,
    encode_json,
)
from supervisor.terminal import holder_launch
from supervisor.terminal.holder_launch import SparePool
from supervisor.terminal.holder_records import (
    ExitInfo,
    Hello,
    HolderError,
    HolderInfo,
    HolderTimeout,
    SpawnSpec,
    Written,
    read_exit,
    read_info,
)

__all__ = [
    "ExitInfo",
    "Hello",
    "HolderClient",
    "HolderError",
    "HolderInfo",
    "HolderTimeout",
    "SpawnSpec",
    "Written",
    "launch",
    "read_exit",
    "read_info",
]

_WRITE_MARGIN = 2.0
_LOG_TAIL = 2000


async def launch(folder: Path, spec: SpawnSpec, timeout: float, spares: SparePool | None = None) -> HolderInfo:
    """Starts a holder in `folder` (made 0700 if missing), out of the `spares` if there is one, and returns once its child
    runs.

    HolderError carries the holder's report (`locked`, `not_found`, `not_executable`, `bad_cwd`, `bad_spec`,
    `bad_socket`, `spawn_failed`). After HolderTimeout the holder may still come up: look at `read_info` before trying
    again; the locks see to it that there are never two.
    """
    folder = folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write_json(str(folder / files.SPAWN), msgspec.to_builtins(spec))
    ready = -1
    try:
        async with asyncio.timeout(timeout):
            ready = await (holder_launch.begin(folder) if spares is None else spares.begin(folder))
            line = await _read_line(ready)
    except TimeoutError:
        raise HolderTimeout(f"no holder after {timeout} s in {folder}") from None
    finally:
        if ready != -1:
            os.close(ready)
    if not line.endswith(b"\n"):
        raise HolderError("launch_failed", f"the holder ended before it was ready: {_log_tail(folder)}")
    message = decode_json(line)
    if error := message.get("error"):
        raise HolderError(error["code"], error["message"], error)
    return msgspec.convert(message, HolderInfo)


async def _read_line(fd: int) -> bytes:
    """Up to a line's end or the end of the pipe."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()
    line = bytearray()

    def read() -> None:
        data = os.read(fd, CHUNK)
        line.extend(data)
        if (not data or line.endswith(b"\n")) and not done.done():
            done.set_result(bytes(line))

    os.set_blocking(fd, False)
    loop.add_reader(fd, read)
    try:
        return await done
    finally:
        loop.remove_reader(fd)


def _log_tail(folder: Path) -> str:
    try:
        return read_end(folder / files.LOG, _LOG_TAIL).decode(errors="replace").strip()
    except OSError:
        return ""


class HolderClient:
    """One connection. Ends with exactly one of `on_exit`, `on_lost`, or our own `close`."""

    info: Hello

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_output: Callable[[int, bytes], None],
        on_gap: Callable[[int, int], None],
        on_exit: Callable[[dict[str, Any]], None],
        on_lost: Callable[[], None],
        timeout: float,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._on_output = on_output
        self._on_gap = on_gap
        self._on_exit = on_exit
        self._on_lost = on_lost
        self._timeout = timeout
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._over: HolderError | None = None
        self._pump = asyncio.create_task(self._receive(), name="holder-client")

    @classmethod
    async def connect(
        cls,
        socket_path: str | Path,
        on_output: Callable[[int, bytes], None],
        on_gap: Callable[[int, int], None],
        on_exit: Callable[[dict[str, Any]], None],
        on_lost: Callable[[], None],
        timeout: float,
    ) -> HolderClient:
        """`timeout` is also that of every later call. HolderError `lost`: nobody listens there."""
        try:
            require_private(Path(socket_path).parent)
            async with asyncio.timeout(timeout):
                reader, writer = await asyncio.open_unix_connection(str(socket_path))
        except TimeoutError:
            raise HolderTimeout(f"no connection to {socket_path}") from None
        except (OSError, PilotlightError) as error:
            raise HolderError("lost", f"nobody of ours listens on {socket_path}: {error}") from error
        client = cls(reader, writer, on_output, on_gap, on_exit, lambda: None, timeout)
        try:
            client.info = msgspec.convert(await client._call("hello"), Hello)
        except BaseException:
            await client.close()
            raise
        client._on_lost = on_lost
        return client

    async def subscribe(self, offset: int) -> int:
        """Output from `offset` on, then live, through `on_output(offset, data)`; returns where it begins."""
        return int((await self._call("subscribe", offset=offset))["offset"])

    async def write(self, id: str, data: bytes, timeout: float) -> Written:
        """Types `data` once for this `id`, however often asked. HolderError: `data["written"]` bytes were typed."""
        if len(data) > MAX_WRITE:
            raise HolderError("too_large", f"a write holds at most {MAX_WRITE} bytes")
        encoded = base64.b64encode(data).decode()
        answer = await self._call("write", patience=timeout + _WRITE_MARGIN, id=id, data=encoded, timeout=timeout)
        return Written(int(answer["written"]), answer.get("duplicate", False))

    async def resize(self, cols: int, rows: int) -> tuple[int, int]:
        answer = await self._call("resize", cols=cols, rows=rows)
        return answer["cols"], answer["rows"]

    async def signal(self, number: int, scope: str = "child") -> int:
        """`scope`: child, group or tree. How many were signalled."""
        return int((await self._call("signal", signal=int(number), scope=scope))["signalled"])

    async def lock(self, paths: list[str]) -> None:
        """These and no other locks stand for the child. HolderError `locked`, or `unknown_op` from an older holder."""
        await self._call("lock", paths=paths)

    async def stat(self) -> dict[str, Any]:
        """As holder/protocol.py says."""
        return await self._call("stat")

    async def stop(self, grace: float) -> None:
        """Returns at once; `on_exit` follows when the whole tree is gone."""
        await self._call("stop", grace=grace)

    async def close(self) -> None:
        """The holder and its child go on."""
        self._end(HolderError("lost", "the connection was closed"))
        self._pump.cancel()
        await asyncio.wait([self._pump])
        self._writer.transport.abort()

    async def _call(self, op: str, patience: float | None = None, **arguments: Any) -> dict[str, Any]:
        if self._over:
            raise self._over
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(patience or self._timeout):
                self._writer.write(encode_json({"seq": number, "op": op, **arguments}))
                await self._writer.drain()
                return await answer
        except TimeoutError:
            raise HolderTimeout(f"no answer to {op}") from None
        except ConnectionError as error:
            raise self._over or HolderError("lost", str(error)) from error
        finally:
            del self._waiting[number]

    async def _receive(self) -> None:
        decoder = Decoder(MAX_FRAME)
        over = HolderError("lost", "the holder has closed the connection")
        try:
            while data := await self._reader.read(CHUNK):
                for kind, payload in decoder.feed(data):
                    if kind == JSON:
                        self._take(decode_json(payload))
                    else:
                        self._on_output(*read_offset(payload))
        except (OSError, BadFrame) as error:
            over = HolderError("lost", str(error))
        finally:
            if self._end(over):
                self._on_lost()
            self._writer.close()

    def _take(self, message: dict[str, Any]) -> None:
        if (answer := self._waiting.get(message.get("seq", 0))) is not None:
            if answer.done():
                return
            if message["ok"]:
                answer.set_result(message)
            else:
                error = message["error"]
                answer.set_exception(HolderError(error["code"], error["message"], error))
        elif message.get("event") == "gap":
            self._on_gap(message["from"], message["to"])
        elif message.get("event") == "exit":
            if self._end(HolderError("exited", "the child has exited")):
                self._on_exit({name: value for name, value in message.items() if name != "event"})
        elif message.get("event") == "refused":
            self._end(HolderError(message["error"]["code"], message["error"]["message"]))

    def _end(self, why: HolderError) -> bool:
        """Whether this is the end; False if it had ended before."""
        if self._over:
            return False
        self._over = why
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(why)
        return True
