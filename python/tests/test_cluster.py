"""Daemons that keep one store between them: who leads is found, and found again."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
import uuid

import pytest

from statehouse import InvalidArgument, Statehouse, StatehouseError
from statehouse.testing._binary import find_binary


class Cluster:
    """Three members on loopback."""

    def __init__(self, folder):
        self.folder, self.running, self.flags = folder, {}, {}
        ports = free_ports(6)
        peers = [f"127.0.0.1:{port}" for port in ports[3:]]
        for n, port in enumerate(ports[:3]):
            how = ["--cluster-init", ",".join(peers)] if n == 0 else ["--join", peers[0]]
            address = f"127.0.0.1:{port}"
            self.flags[address] = [
                *("--data-dir", str(folder / str(n)), "--metrics-listen-addr", "off"),
                *("--listen-addr", address, "--peer-listen-addr", peers[n], *how),
            ]
            self.start(address)
        self.leader()

    @property
    def addresses(self):
        return list(self.flags)

    def start(self, address):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("STATEHOUSE_")}
        with (self.folder / "log").open("ab") as log:
            self.running[address] = subprocess.Popen(
                [find_binary(), *self.flags[address]], stdout=log, stderr=log, env=kept
            )

    def kill(self, address):
        process = self.running.pop(address)
        process.kill()
        process.wait()

    def freeze(self, address):
        self.running[address].send_signal(signal.SIGSTOP)

    def thaw(self, address):
        self.running[address].send_signal(signal.SIGCONT)

    def leader(self):
        """Waits until one leads, and answers its address."""
        while True:
            for address in list(self.running):
                options = {"timeout": 0.5, "fail_fast": True}
                with Statehouse(address, "probe", **options) as probe:
                    with contextlib.suppress(StatehouseError):
                        leads = probe._run(status_of(probe)).cluster.leader_address
                        if leads in self.running:
                            probe.write("probe", "k", {})  # which only a leader can
                            return leads
            assert all(p.poll() is None for p in self.running.values()), self.log()
            time.sleep(0.05)

    def log(self):
        return (self.folder / "log").read_text()

    def stop(self):
        for address in list(self.running):
            self.kill(address)


def status_of(client):
    from statehouse._proto import statehouse_pb2 as pb

    return client._caller.call("GetStatus", pb.GetStatusRequest())


def free_ports(count):
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.stop()


@pytest.fixture
def member(dial):
    """Makes clients of several addresses, in a namespace of their own."""

    def make(addresses, **options):
        namespace = f"test-{uuid.uuid4()}"
        return dial(None, namespace=namespace, addresses=addresses, timeout=60, **options)

    return make


def goes_to(client):
    """The address that calls of a client go to."""
    members = getattr(client, "blocking", client)._endpoint.members
    return members.endpoints[members._at].target


async def test_calls_go_to_the_one_that_leads(cluster, member):
    leads = cluster.leader()
    for first in cluster.addresses:
        client = member(sorted(cluster.addresses, key=lambda one: one != first))
        await client.write("a", "k", {"first": first})
        assert goes_to(client) == leads
        assert (await client.get_state("a", "k")).value == {"first": first}


async def test_reads_that_may_be_stale_go_to_all(cluster, member):
    client = member(cluster.addresses)
    stale = client.with_options(at_most_stale=60)
    members = getattr(client, "blocking", client)._endpoint.members
    turns = set()
    for n in range(6):
        seen = (await client.write("a", "k", {"n": n})).commit_ts
        assert (await stale.get_state("a", "k", min_read_ts=seen)).value == {"n": n}
        turns.add(members._turn)
        assert (await stale.get_many("a", ["k"], min_read_ts=seen))[0].value == {"n": n}
        assert await stale.list_keys("a", min_read_ts=seen) == ["k"]
        assert [r.key async for r in stale.scan_prefix("a", min_read_ts=seen)] == ["k"]
        assert [r.key async for r in stale.find("a", min_read_ts=seen)] == ["k"]
    assert len(turns) > 1
    async with stale.begin_transaction() as tx:  # whose reads are of the newest state
        assert (await tx.get_state("a", "k")).value == {"n": 5}


@pytest.mark.timeout(300)
async def test_the_one_that_leads_is_lost(cluster, member):
    """Each commit is made once, and a watch has no gap."""
    client = member(cluster.addresses)
    lost = cluster.leader()
    events = []

    async def watch():
        async for event in client.watch("a", after=0):
            events.append(event.operations[0].value["n"])
            if len(events) == 45:
                return

    watching = asyncio.ensure_future(watch())
    for n in range(45):
        if n == 15:
            cluster.kill(lost)
        if n == 30:
            cluster.start(lost)
        await client.append("a", "step/", {"n": n})
    await watching
    assert events == list(range(45))
    assert goes_to(client) == cluster.leader() or len(cluster.running) == 3


@pytest.mark.timeout(300)
async def test_the_one_that_leads_stands_still(cluster, member):
    """It answers nothing, and its connections stay."""
    client = member(cluster.addresses, attempt_timeout=1)
    leads = cluster.leader()
    await client.write("a", "k", {"n": 0})
    cluster.freeze(leads)
    try:
        for n in range(1, 4):
            await client.append("a", "step/", {"n": n})
        assert goes_to(client) != leads
    finally:
        cluster.thaw(leads)
    assert len(await client.list_keys("a", "step/")) == 3


async def test_a_member_that_is_not_there(cluster, member):
    [gone] = free_ports(1)
    client = member([f"127.0.0.1:{gone}", "no-such-host.invalid:1", *cluster.addresses])
    await client.write("a", "k", {})
    assert (await client.get_state("a", "k")).value == {}
    # Nor is a name that nobody knows the end of the calls that went there while one asked.
    unknown = member(["no-such-host.invalid:1", *cluster.addresses])
    await asyncio.gather(*(unknown.write("a", f"k/{n}", {}) for n in range(8)))


async def test_one_daemon_is_no_cluster(statehouse_daemon, member):
    [gone] = free_ports(1)
    client = member([statehouse_daemon.url, f"127.0.0.1:{gone}"])
    await client.write("a", "k", {})
    assert goes_to(client) == statehouse_daemon.url
    alone = member([statehouse_daemon.url])
    assert await alone.get_state("a", "k") is None


def test_misuse():
    with pytest.raises(InvalidArgument, match="of one daemon at least"):
        Statehouse(addresses=[])
    with pytest.raises(InvalidArgument, match="is a list"):
        Statehouse(addresses="localhost:1")
    with pytest.raises(InvalidArgument, match="leave out one"):
        Statehouse("localhost:1", addresses=["localhost:2"])
    with pytest.raises(InvalidArgument, match="at_most_stale"):
        Statehouse(at_most_stale=-1)
