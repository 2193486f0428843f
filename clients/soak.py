"""Load and abuse for minutes: `cargo xtask soak` starts the server and this.

64 streams run at once; some are left at a random place. Beside them come broken JSON, bodies that
are too large, readers that stop reading and connections that never finish their request. It
succeeds if

- no answer has a status of 500 or more, and no stream that was read to its end has an error,
- every stream that was read to its end says what the same request said alone,
- connections that say nothing are closed, and nothing runs when everybody has gone,
- the server's memory after a warm-up stays within 5 %.

Only the standard library is used. The figures are printed as one JSON object.
"""

import argparse
import asyncio
import json
import random
import socket
import statistics
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

STREAMS = 64
GROWTH_MAX = 1.05
# Of the whole time; memory that is taken once is taken in it.
WARM_UP = 0.3
# A request waits for 63 others on a slow machine.
PATIENCE = 600

PROMPTS = ["Hello!", "Tell me a story.", "What is 2 plus 3?", "How are you?", "I am sad."]


def requests() -> list[tuple[str, dict]]:
    """Path and body of the requests; seeds make their answers the same every time."""
    made = []
    for number in range(12):
        text = PROMPTS[number % len(PROMPTS)]
        tokens = 8 + 8 * (number % 5)
        common = {"model": "nano", "stream": True, "temperature": 0.8, "seed": number}
        chat = {"messages": [{"role": "user", "content": text}], "max_tokens": tokens}
        if number % 4 == 0:
            chat |= {"logprobs": True, "top_logprobs": 3}
        responses = {"input": text, "max_output_tokens": tokens, "store": False}
        completion = {"prompt": text, "max_tokens": tokens, "logprobs": 2}
        kinds = [("chat/completions", chat), ("responses", responses), ("completions", completion)]
        path, body = kinds[number % 3]
        made.append((f"/v1/{path}", common | body))
    return made


class Load:
    """One run against one server."""

    def __init__(self, url: str, seconds: float):
        parts = urlsplit(url)
        self.host, self.port = parts.hostname, parts.port
        self.end = time.monotonic() + seconds
        self.requests = requests()
        self.alone: list[list] = []
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []

    def goes_on(self) -> bool:
        return time.monotonic() < self.end and len(self.errors) < 20

    def wrong(self, what: str) -> None:
        self.counts["errors"] += 1
        self.errors.append(what[:300])

    def head(self, path: str, length: int | str) -> bytes:
        lines = [f"POST {path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += ["Content-Type: application/json", "Connection: close"]
        lines.append(f"Content-Length: {length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def connect(self):
        return await asyncio.open_connection(self.host, self.port)

    async def get(self, path: str) -> tuple[int, bytes]:
        reader, writer = await self.connect()
        head = f"GET {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        answer = await asyncio.wait_for(reader.read(-1), 60)
        writer.close()
        start, _, body = answer.partition(b"\r\n\r\n")
        return int(start.split(b" ", 2)[1]), body

    async def stream(self, number: int, leave_after: int | None) -> list | None:
        """What a request says, without what differs each time; nothing if it was left."""
        path, body = self.requests[number]
        reader, writer = await self.connect()
        try:
            data = json.dumps(body).encode()
            writer.write(self.head(path, len(data)) + data)
            status = int((await asyncio.wait_for(reader.readline(), PATIENCE)).split(b" ", 2)[1])
            if status != 200:
                rest = await asyncio.wait_for(reader.read(-1), 60)
                raise RuntimeError(f"{path}: status {status}: {rest[-200:]!r}")
            said, lines = [], 0
            while line := await asyncio.wait_for(reader.readline(), PATIENCE):
                # Lines of chunked framing begin with a number and never with `data: `.
                if line.startswith(b"data: "):
                    said.append(gist(line[6:].strip()))
                    lines += 1
                if leave_after is not None and lines >= leave_after:
                    writer.transport.abort()
                    return None
            return said
        finally:
            writer.close()

    async def client(self, number: int) -> None:
        """One request after the other."""
        choose = random.Random(number)
        while self.goes_on():
            which = choose.randrange(len(self.requests))
            leave = choose.randrange(6) if choose.random() < 0.25 else None
            try:
                said = await self.stream(which, leave)
            except Exception as error:
                self.wrong(f"stream: {type(error).__name__} {error}")
                continue
            if said is None:
                self.counts["left"] += 1
            elif said == self.alone[which]:
                self.counts["same"] += 1
            else:
                self.wrong(f"request {which} says {said}, alone {self.alone[which]}")

    async def expect(self, name: str, data: bytes, statuses: set[int]) -> None:
        """Sends bytes and looks at the status of the answer."""
        reader, writer = await self.connect()
        try:
            writer.write(data)
            line = await asyncio.wait_for(reader.readline(), 60)
            status = int(line.split(b" ", 2)[1])
            if status not in statuses:
                self.wrong(f"{name}: status {status}, expected {sorted(statuses)}")
            self.counts[name] += 1
        finally:
            writer.close()

    async def broken(self) -> None:
        bodies = [b"{", b"", b"[1", b'{"model": 3}', b"\xff\xfe", b"[" * 10000, b'{"messages": []}']
        while self.goes_on():
            for body in bodies:
                for path in ["/v1/chat/completions", "/v1/responses", "/v1/completions"]:
                    data = self.head(path, len(body)) + body
                    await self.expect("broken", data, {400, 422})
            await asyncio.sleep(0.2)

    async def oversized(self) -> None:
        while self.goes_on():
            head = self.head("/v1/chat/completions", 8 << 20)
            try:
                await self.expect("oversized", head + b" " * (2 << 20), {413})
            except (ConnectionError, IndexError):
                # It need not take the rest before it answers and closes.
                self.counts["oversized"] += 1
            await asyncio.sleep(0.5)

    async def slow_reader(self) -> None:
        body = {"model": "nano", "stream": True, "n": 8, "logprobs": True, "top_logprobs": 20}
        body |= {"messages": [{"role": "user", "content": "Tell me a story."}], "max_tokens": 200}
        data = json.dumps(body).encode()
        while self.goes_on():
            connection = socket.socket()
            # A small buffer is full soon, and then the server waits for this reader.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(connection, (self.host, self.port))
            await loop.sock_sendall(connection, self.head("/v1/chat/completions", len(data)) + data)
            await asyncio.sleep(15)
            connection.close()
            self.counts["slow"] += 1

    async def half_open(self) -> None:
        starts = [b"", b"POST /v1/chat", self.head("/v1/chat/completions", 100) + b"{"]
        while self.goes_on():
            for start in starts:
                reader, writer = await self.connect()
                writer.write(start)
                try:
                    await asyncio.wait_for(reader.read(-1), 40)
                    self.counts["half open"] += 1
                except ConnectionError:
                    self.counts["half open"] += 1
                except asyncio.TimeoutError:
                    self.wrong(f"a connection that sent {start!r} was not closed")
                finally:
                    writer.close()

    async def guarded(self, abuse) -> None:
        """Abuse goes on after a connection that was refused; all else is an error."""
        while self.goes_on():
            try:
                await abuse()
            except (ConnectionError, OSError) as error:
                self.wrong(f"{abuse.__name__}: {error}")
                await asyncio.sleep(1)

    async def run(self) -> None:
        for number in range(len(self.requests)):
            self.alone.append(await self.stream(number, None))
        tasks = [self.client(number) for number in range(STREAMS)]
        abuses = [self.broken, self.oversized, self.slow_reader, self.slow_reader]
        tasks += [self.guarded(abuse) for abuse in abuses + [self.half_open] * 4]
        await asyncio.gather(*tasks)
        await self.at_rest()

    async def at_rest(self) -> None:
        """Everybody has gone: nothing may run, and the server answers."""
        for _ in range(60):
            _, text = await self.get("/metrics")
            if idle(text.decode()):
                break
            await asyncio.sleep(0.5)
        else:
            self.wrong("requests run on although everybody has gone")
        status, _ = await self.get("/health")
        if status != 200:
            self.wrong(f"/health: status {status}")


def gist(data: bytes):
    """What an event says; ids and times differ each time."""
    if data == b"[DONE]":
        return "done"
    event = json.loads(data)
    if event.get("error") or event.get("type") in ("error", "response.failed"):
        raise RuntimeError(f"an error in the stream: {event}")
    if "choices" in event:
        return event["choices"]
    usage = (event.get("response") or {}).get("usage") or {}
    kept = {key: event.get(key) for key in ("type", "delta", "text", "sequence_number")}
    return kept | {"output_tokens": usage.get("output_tokens")}


def idle(metrics: str) -> bool:
    """Whether neither a request runs nor one waits."""
    values = []
    for line in metrics.splitlines():
        if line.startswith(("vllm:num_requests_running", "vllm:num_requests_waiting")):
            values.append(float(line.rsplit(" ", 1)[1]))
    return len(values) == 2 and not any(values)


async def watch(process: int, samples: list[tuple[float, int]]) -> None:
    """Notes the memory of the process, in KiB, twice a second."""
    while True:
        with open(f"/proc/{process}/status", encoding="ascii") as file:
            lines = [line for line in file if line.startswith("VmRSS")]
        samples.append((time.monotonic(), int(lines[0].split()[1])))
        await asyncio.sleep(0.5)


def growth(samples: list[tuple[float, int]]) -> tuple[float, dict]:
    """Memory at the end over memory after the warm-up."""
    start, end = samples[0][0], samples[-1][0]
    after = [kib for at, kib in samples if at >= start + WARM_UP * (end - start)]
    third = max(1, len(after) // 3)
    # Medians: what a single moment needs is no growth.
    early, late = statistics.median(after[:third]), statistics.median(after[-third:])
    figures = {"first": samples[0][1], "warm": early, "late": late, "most": max(after)}
    return late / early, figures


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--process", type=int, required=True)
    arguments = parser.parse_args()
    load = Load(arguments.url, arguments.minutes * 60)
    samples: list[tuple[float, int]] = []
    watcher = asyncio.create_task(watch(arguments.process, samples))
    await load.run()
    watcher.cancel()
    ratio, memory = growth(samples)
    if ratio > GROWTH_MAX:
        load.wrong(f"memory grew by {(ratio - 1) * 100:.1f} %")
    if not load.counts["same"]:
        load.wrong("no stream was compared")
    figures = {"counts": dict(load.counts), "memory_kib": memory, "growth": round(ratio, 4)}
    print(json.dumps(figures | {"errors": load.errors}, indent=2))
    return 1 if load.errors else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
