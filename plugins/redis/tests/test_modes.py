"""The same service over TLS, a Unix socket, sentinels and a cluster."""

import asyncio
import ssl
from contextlib import ExitStack, asynccontextmanager

import pytest
import trustme

from powerstrip_redis import RedisUnavailable
from powerstrip_redis.testing import Valkey

PATIENCE = 60.0  # seconds: the machine may be busy
PING = b"*1\r\n$4\r\nPING\r\n"


@pytest.fixture
def servers():
    """Starts servers that end with the test: `servers("--cluster-enabled", "yes")`."""
    with ExitStack() as stack:

        def start(*options, config=None):
            server = Valkey(*options, config=config)
            stack.callback(server.close)
            server.start()
            return server

        yield start


async def counts(connections):
    """The service does what it is for."""
    async with connections.available(PATIENCE) as client:
        key = connections.key("{a}", "visits")
        await client.set(key, 1)
        await client.incr(key)
        pipeline = client.pipeline(transaction=False)
        pipeline.incr(key)
        pipeline.get(key)
        answers = await pipeline.execute()
    if not connections.is_cluster:
        for _ in range(2):
            assert await connections.exchange([PING, PING], PATIENCE) == [b"PONG"] * 2
    return answers


# TLS


@pytest.fixture(scope="module")
def authority():
    """Signs certificates."""
    return trustme.CA()


@asynccontextmanager
async def tls_before(server, authority):
    """TLS in front of a server, as the wheel's Valkey is built without; gives the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    tasks = set()

    async def copy(reader, writer):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def accept(reader, writer):
        inner = await asyncio.open_connection("127.0.0.1", server.port)
        for pair in ((reader, inner[1]), (inner[0], writer)):
            task = asyncio.create_task(copy(*pair))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    outer = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield outer.sockets[0].getsockname()[1]
    finally:
        outer.close()
        for task in tasks:
            task.cancel()


async def test_tls(running, valkey, authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with tls_before(valkey, authority) as port:
        settings = {"url": f"rediss://127.0.0.1:{port}/0", "tls": {"ca_file": str(tmp_path / "ca.pem")}}
        async with running(settings) as connections:
            assert await counts(connections) == [3, b"3"]


async def test_a_certificate_that_nobody_vouches_for_is_refused(running, valkey, authority):
    async with tls_before(valkey, authority) as port, running({"url": f"rediss://127.0.0.1:{port}/0"}) as connections:
        with pytest.raises(RedisUnavailable) as refusal:
            await counts(connections)

    assert "certificate" in str(refusal.value.__cause__).lower()


# A Unix socket


async def test_a_unix_socket(running, servers, tmp_path):
    socket = tmp_path / "valkey.sock"
    servers("--unixsocket", str(socket))

    async with running({"url": f"unix://{socket}?db=3"}) as connections:
        assert await counts(connections) == [3, b"3"]
        assert list(await connections.client.info("keyspace")) == ["db3"]


# Sentinel


@pytest.fixture
def sentinels(servers):
    """A primary, its replica, and a sentinel that knows them."""
    primary = servers()
    replica = servers("--replicaof", f"127.0.0.1 {primary.port}")
    sentinel = servers(
        "--sentinel",
        config=f"sentinel monitor main 127.0.0.1 {primary.port} 1\n"
        "sentinel down-after-milliseconds main 300\n"
        "sentinel failover-timeout main 2000\n",
    )
    return primary, replica, sentinel


async def is_known(sentinel, until):
    await until(lambda: b"num-slaves\r\n$1\r\n1" in sentinel.command("SENTINEL", "MASTER", "main"))


async def test_sentinels_name_the_primary(running, sentinels):
    primary, _, sentinel = sentinels

    async with running({"url": f"redis+sentinel://127.0.0.1:{sentinel.port}/main/0"}) as connections:
        assert await counts(connections) == [3, b"3"]
        assert (await connections.probe())["mode"] == "sentinel"
    assert b"visits" in primary.command("KEYS", "*")


async def test_a_failover_is_followed_without_a_restart(running, sentinels, until, works_again):
    primary, replica, sentinel = sentinels
    await is_known(sentinel, until)

    async with running({"url": f"redis+sentinel://127.0.0.1:{sentinel.port}/main"}) as connections:
        await counts(connections)
        primary.stop()
        await until(lambda: b"role:master" in replica.command("INFO", "replication"))
        await works_again(connections)

        async with asyncio.timeout(PATIENCE):
            assert await counts(connections) == [3, b"3"]
    assert b"visits" in replica.command("KEYS", "*")


async def test_a_primary_that_is_none_any_more_is_asked_for_anew(running, sentinels, until, works_again):
    primary, _, sentinel = sentinels
    incr = b"*2\r\n$4\r\nINCR\r\n$1\r\na\r\n"

    async with running({"url": f"redis+sentinel://127.0.0.1:{sentinel.port}/main"}) as connections:
        assert await connections.exchange([incr], PATIENCE) == [1]
        primary.command("REPLICAOF", "127.0.0.1", "1")  # where nobody is
        with pytest.raises(RedisUnavailable):
            await connections.exchange([incr], PATIENCE)


# Cluster


@pytest.fixture
def cluster(servers, until):
    """Two nodes that share the slots."""
    nodes = [servers("--cluster-enabled", "yes") for _ in range(2)]
    nodes[0].command("CLUSTER", "ADDSLOTSRANGE", "0", "8191")
    nodes[1].command("CLUSTER", "ADDSLOTSRANGE", "8192", "16383")
    nodes[0].command("CLUSTER", "MEET", "127.0.0.1", str(nodes[1].port))
    return nodes


async def is_whole(cluster, until):
    await until(lambda: all(b"cluster_state:ok" in node.command("CLUSTER", "INFO") for node in cluster))


async def test_a_cluster_is_found_by_one_of_its_nodes(running, cluster, until):
    await is_whole(cluster, until)

    async with running({"url": f"redis+cluster://127.0.0.1:{cluster[0].port}"}) as connections:
        assert connections.is_cluster
        assert await counts(connections) == [3, b"3"]
        for number in range(50):
            await connections.client.set(f"key {number}", number)
    assert all(b"key " in node.command("KEYS", "*") for node in cluster)


async def test_in_a_cluster_callers_wait_for_a_connection_too(running, cluster, until):
    await is_whole(cluster, until)
    settings = {"url": f"redis+cluster://127.0.0.1:{cluster[0].port}", "pool_size": 2, "pool_timeout": PATIENCE}

    async with running(settings) as connections:
        numbers = await asyncio.gather(*(connections.client.incr("visits") for _ in range(300)))
        assert sorted(numbers) == list(range(1, 301))


async def test_a_cluster_that_is_away_is_taken_up_again(running, cluster, until, is_noticed, works_again):
    await is_whole(cluster, until)
    async with running({"url": f"redis+cluster://127.0.0.1:{cluster[0].port}"}) as connections:
        await counts(connections)
        for node in cluster:
            node.freeze()
        await is_noticed(connections)
        for node in cluster:
            node.resume()
        await works_again(connections)
