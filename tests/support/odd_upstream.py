"""An upstream whose every answer stands among what is none: `odd_upstream.py LOG [TOOLS]`."""

import json
import random
import sys
from pathlib import Path

LOG, COUNT = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
CHANCE = random.Random(7)  # noqa: S311
READS = {"annotations": {"readOnlyHint": True}}
TOOL = {"name": "write_note", "inputSchema": {"type": "object"}}
TOOLS = [TOOL, *({"name": f"read_{i}", "inputSchema": {"type": "object"}, **READS} for i in range(COUNT - 1))]
out = sys.stdout.buffer


def odd(id: object) -> list[bytes]:
    """Lines that no client should be hurt by."""
    answer = {"jsonrpc": "2.0", "id": "nobody", "result": {"content": []}}
    told = json.dumps(id).encode()
    return [
        b"not json",
        b"\xff\xfe\x00",
        b"[]",
        b"{}",
        b"null",
        b'"a"',
        b'{"jsonrpc":"2.0","id":null,"result":{}}',
        b'{"jsonrpc":"2.0","id":' + told + b',"id":' + told + b',"result":{}}',
        b'{"jsonrpc":"2.0","id":' + told + b',"result":{},"error":{}}',
        b'{"jsonrpc":"2.0","id":{"a":1},"result":{}}',
        b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
        b'{"jsonrpc":"2.0","method":5}',
        b'{"jsonrpc":"2.0","method":"tools/call","params":{"name":"write_note"}}',
        b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":[1],"progress":"x"}}',
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{"a":1}}}',
        b"[" + json.dumps(answer).encode() + b"]",
        json.dumps(answer).encode(),
        b"[" * 100_000,
        b'{"jsonrpc":"2.0","id":"nobody","result":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
        b'{"jsonrpc":"2.0","id":1e400,"result":{}}',
        b'{"jsonrpc":"2.0","id":"nobody","result":{"x":NaN}}',
        b'{"JSONRPC":"2.0","Id":' + told + b',"Result":{}}',
        b'{"jsonrpc":"2.0","id":"nobody","result":"' + b"x" * 1_000_000 + b'"}',
    ]


def say(**message: object) -> None:
    around = odd(message["id"])
    CHANCE.shuffle(around)
    for line in [*around[:12], json.dumps({"jsonrpc": "2.0", **message}).encode(), *around[12:]]:
        out.write(line + b"\n")
    out.flush()


for line in sys.stdin.buffer:
    message = json.loads(line)
    method, id, params = message.get("method"), message.get("id"), message.get("params") or {}
    if method == "initialize":
        info = {"name": "odd", "version": "1"}
        say(id=id, result={"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info})
    elif method == "tools/list":
        say(id=id, result={"tools": TOOLS})
    elif method == "tools/call":
        with LOG.open("a", encoding="utf-8") as log:
            log.write(json.dumps([params.get("name"), params.get("arguments")]) + "\n")
        say(id=id, result={"content": [{"type": "text", "text": "did"}]})
    elif id is not None:
        say(id=id, error={"code": -32601, "message": "no"})
