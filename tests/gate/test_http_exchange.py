"""The gate's own HTTP: whatever answers in place of the service, or half of it, is an error and nothing worse."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl

import anyio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from approvals.gate import connection, http_exchange
from approvals.gate.http_exchange import Exchange

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nApprovals-Wire: 3\r\n\r\nok"


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request):
    """Over stdio a gate runs on the one, over HTTP on the other."""
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


class Peer:
    """Answers each request with the next of its scripts: bytes to send, and None to hang up."""

    def __init__(self, *scripts):
        self.scripts = list(scripts)
        self.asked, self.connections = [], 0
        self._open = set()

    async def serve(self, reader, writer):
        self.connections += 1
        self._open.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while self.scripts:
                head = await reader.readuntil(b"\r\n\r\n")
                length = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
                body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
                self.asked.append(head + body)
                for part in self.scripts.pop(0):
                    if part is None:
                        writer.close()
                        return
                    writer.write(part)
                    await writer.drain()
            await reader.read()
        writer.close()

    async def hang_up(self):
        for writer in self._open:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def asking(*scripts, most=10, tls=None, path=""):
    peer = Peer(*scripts)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    address = Exchange(f"{'https' if tls else 'http'}://127.0.0.1:{port}{path}", {"Authorization": "Bearer k"}, most)
    try:
        with anyio.fail_after(20):
            yield address, peer
    finally:
        await address.close()
        server.close()
        await peer.hang_up()
        await server.wait_closed()


async def test_one_connection_carries_one_exchange_after_another():
    async with asking([PLAIN], [PLAIN], path="/base") as (address, peer):
        answer = await address.ask("PUT", "/a?b=c", b'{"x":1}', within=5)
        assert (answer.status_code, answer.headers["approvals-wire"], answer.content) == (200, "3", b"ok")
        await address.ask("GET", "/d", within=5)
    assert peer.connections == 1
    first, second = peer.asked
    assert first.startswith(b"PUT /base/a?b=c HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"Authorization: Bearer k\r\n" in first
    assert first.endswith(b'Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{"x":1}')
    assert second.startswith(b"GET /base/d HTTP/1.1\r\n")
    assert b"Content-Length" not in second


@pytest.mark.parametrize(
    "answer",
    [
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n", b"1\r\nk\r\n0\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", PLAIN],
        [PLAIN[:9], PLAIN[9:40], PLAIN[40:]],
    ],
    ids=["chunked", "after others", "in pieces"],
)
async def test_answers_come_in_all_the_forms_of_http(answer):
    async with asking(answer, [PLAIN]) as (address, peer):
        assert (await address.ask("GET", "/", within=5)).content == b"ok"
        assert (await address.ask("GET", "/", within=5)).content == b"ok"
        assert peer.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", None],
        [b"HTTP/1.0 200 OK\r\n\r\nok", None],
        [PLAIN, None],
        [PLAIN + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"],
    ],
    ids=["said to close", "to its end", "closed", "with more than was asked"],
)
async def test_p5_a_connection_that_may_not_be_kept_is_not_asked_again(answer):
    async with asking(answer, [PLAIN]) as (address, peer):
        assert (await address.ask("GET", "/", within=5)).content == b"ok"
        await asyncio.sleep(0.01)
        assert (await address.ask("GET", "/", within=5)).content == b"ok"
        assert peer.connections == 2


async def test_p5_what_comes_while_nothing_was_asked_is_no_answer():
    async with asking([PLAIN], [PLAIN]) as (address, peer):
        await address.ask("GET", "/", within=5)
        ((_, kept),) = address._free
        (writer,) = peer._open
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        while kept.is_free:
            await asyncio.sleep(0)
        assert (await address.ask("GET", "/", within=5)).content == b"ok"
        assert peer.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        [None],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nhalf", None],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", None],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\nok"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"],
        [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"],
        [b"SSH-2.0-OpenSSH_9.6\r\n", None],
        [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000],
        [b"\x00" * 100_000],
    ],
    ids=["nothing", "half", "half a chunk", "no chunk", "two lengths", "negative", "upgrade", "ssh", "head", "zeros"],
)
async def test_p5_what_is_no_answer_is_an_error_and_the_next_is_asked_anew(answer):
    async with asking(answer, [PLAIN]) as (address, peer):
        with pytest.raises(OSError):
            await address.ask("PUT", "/", b"{}", within=5)
        assert (await address.ask("GET", "/", within=5)).content == b"ok"
        assert len(peer.asked) == 2  # nothing was tried twice


async def test_p5_an_answer_that_is_too_long_is_an_error(monkeypatch):
    monkeypatch.setattr(connection, "MAX_ANSWER", 100_000)
    parts = [b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n", *[b"x" * 1000] * 300]
    async with asking(parts) as (address, _):
        with pytest.raises(connection.NotHttp):
            await address.ask("GET", "/", within=5)


@pytest.mark.parametrize("answer", [[], [b"HTTP/1.1 200 OK\r\n"], [PLAIN[:-1]]], ids=["silent", "head", "body"])
async def test_p5_an_answer_that_stops_is_waited_for_within_its_time(answer):
    async with asking(answer, [PLAIN]) as (address, _):
        with pytest.raises(TimeoutError):
            await address.ask("GET", "/", within=1)
        assert (await address.ask("GET", "/", within=5)).content == b"ok"


async def test_a_question_that_is_cut_off_ends_its_connection():
    async with asking([], [PLAIN]) as (address, peer):
        first = asyncio.create_task(address.ask("GET", "/", within=5))
        while not peer.asked:
            await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert address._free == []
        assert (await address.ask("GET", "/", within=5)).content == b"ok"


async def test_an_answer_may_come_before_all_is_sent():
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await writer.drain()
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        over.set()

    over = asyncio.Event()
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    address = Exchange(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {}, 2)
    with anyio.fail_after(20):
        answer = await address.ask("POST", "/", b"x" * 5_000_000, within=10)
        assert (answer.status_code, answer.content) == (413, b"big")
        await address.close()
        await over.wait()
    server.close()
    await server.wait_closed()


async def test_no_more_connections_than_may_be_are_open():
    async with asking([PLAIN], [PLAIN], [PLAIN], most=1) as (address, peer):
        await asyncio.gather(*(address.ask("GET", "/", within=5) for _ in range(3)))
        assert peer.connections == 1


async def test_a_connection_that_waited_too_long_is_not_used(monkeypatch):
    monkeypatch.setattr(http_exchange, "KEPT_SECONDS", 0)
    async with asking([PLAIN], [PLAIN]) as (address, peer):
        await address.ask("GET", "/", within=5)
        await address.ask("GET", "/", within=5)
        assert peer.connections == 2


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/\N{SNOWMAN}"])
async def test_p5_what_is_no_address_is_never_sent(target):
    async with asking([PLAIN]) as (address, peer):
        with pytest.raises(OSError):
            await address.ask("GET", target, within=5)
        assert peer.asked == []


async def test_what_goes_on_is_heard_line_by_line_until_it_ends():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    parts = [head, b"5\r\none\r\n\r\n", b"8\r\ntwo\nthre\r\n", b"2\r\ne\n\r\n0\r\n\r\n"]
    async with asking(parts) as (address, _), address.following("/", b"{}", within=5) as (answer, stream):
        assert answer.status_code == 200
        assert [line async for line in stream.lines(5)] == ["one", "two", "three"]


async def test_p5_silence_and_a_break_end_what_goes_on():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n"
    async with asking([head], [head, None]) as (address, _):
        async with address.following("/", b"{}", within=5) as (_, stream):
            lines = stream.lines(0.5)
            assert await anext(lines) == "one"
            with pytest.raises(TimeoutError):
                await anext(lines)
        async with address.following("/", b"{}", within=5) as (_, stream):
            with pytest.raises(OSError):
                assert [line async for line in stream.lines(5)] == ["one"]
        assert address._free == []


@pytest.fixture
def certificate(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a service")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "service.pem"
    written = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(written + built.public_bytes(serialization.Encoding.PEM))
    return file


async def test_p5_tls_is_spoken_with_whom_the_machine_trusts_alone(certificate, monkeypatch):
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    async with asking([PLAIN], tls=server) as (address, peer):
        with pytest.raises(ssl.SSLCertVerificationError):
            await address.ask("GET", "/", within=5)
        assert peer.asked == []
    trusting = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr(http_exchange, "_tls", lambda: trusting)
    async with asking([PLAIN], [PLAIN], tls=server) as (address, peer):
        assert (await address.ask("GET", "/", within=5)).content == b"ok"
        assert (await address.ask("GET", "/", within=5)).content == b"ok"
        assert len(peer.asked) == 2
