"""How many SYNs a second a flood sends and the running kernel answers, beside `hping3 --flood`.

    python -m tests.benchmarks.flood [SECONDS]

Both send to a listener that answers every SYN with a cookie, in namespaces of their own; what was
answered is the kernel's own count of the cookies that it sent. Needs root, and hping3.
"""

import contextlib
import itertools
import shutil
import signal
import subprocess
import sys
import time

from harness.segment.datagram import Datagram
from harness.segment.forgery import forge
from harness.segment.segment import Flags, MaximumSegmentSize, Segment
from harness.targets import network
from harness.targets.driver import Settings
from harness.targets.netns import NetnsDriver
from harness.wire.station import FORGED, Station

PORT = 2017
PORTION = 256


@contextlib.contextmanager
def listener():
    """Yield a world in which somebody listens, the peer's namespace, and the count of cookies."""
    driver = NetnsDriver()
    driver.start(Settings(sysctls={"net.ipv4.tcp_syncookies": "2"}))
    world = driver.world()
    try:
        channel = world.hosts[0].channel

        def ask(operation, **arguments):
            reply = channel.request(operation, **arguments)
            while not reply.finished():
                world.clock.wait(world.clock.now() + 1.0)
            assert reply.error is None, reply.error
            return reply.value

        handle = ask("socket", family="ipv4")
        ask("bind", socket=handle, address=network.TARGET_ADDRESSES["ipv4"], port=PORT)
        ask("listen", socket=handle, backlog=128)
        yield world, world._namespaces[0][1], lambda: ask("counters")["TcpExtSyncookiesSent"]
    finally:
        world.close()
        driver.stop()


def report(name, sent, answered, seconds):
    line = f"{name:16}{sent / seconds:>12,.0f} SYN/s sent{answered / seconds:>12,.0f} answered/s\n"
    sys.stdout.write(line)


def ours(seconds):
    with listener() as (world, _, cookies):
        station = Station(world.link, network.PEER_MAC, [network.PEER_ADDRESSES["ipv4"]])
        for source in FORGED["ipv4"]:
            station.answers_for(str(source))
        segment = Segment(40000, PORT, flags=Flags.SYN, options=(MaximumSegmentSize(1460),))
        ends = network.PEER_ADDRESSES["ipv4"], network.TARGET_ADDRESSES["ipv4"]
        frames = forge(
            Datagram(*ends, segment), network.PEER_MAC, network.TARGET_MAC, FORGED["ipv4"]
        )
        volley = world.link.load(list(itertools.islice(frames, 1 << 14)), [FORGED["ipv4"]])
        began, sent = time.monotonic(), 0
        while time.monotonic() - began < seconds:
            sent += volley.fire(PORTION)
            station.poll()
        took = time.monotonic() - began
        report("tcpspec", sent, cookies(), took)


def hping3(seconds):
    there = network.TARGET_ADDRESSES["ipv4"]
    with listener() as (_, bench, cookies), bench.entered():
        words = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1"
        subprocess.run(words.split(), check=False)
        for words in (
            f"ip address add {network.PEER_ADDRESSES['ipv4']}/24 dev {network.LINK}",
            f"ip neighbour replace {there} lladdr {network.TARGET_MAC} dev {network.LINK}",
        ):
            subprocess.run(words.split(), check=True)
        # Whatever comes back meets no stack: its RSTs would be work that a flood does not have.
        subprocess.run(["iptables", "-A", "INPUT", "-j", "DROP"], check=True)
        began = time.monotonic()
        words = f"hping3 --flood --syn -p {PORT} -I {network.LINK} {there}"
        process = subprocess.Popen(
            words.split(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[0]
        took = time.monotonic() - began
        sent = next(int(line.split()[0]) for line in said.splitlines() if "transmitted" in line)
        report("hping3 --flood", sent, cookies(), took)


def main():
    """Measure both, one after the other."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    ours(seconds)
    if shutil.which("hping3") is None:
        sys.exit("hping3 is not installed: apt-get install hping3")
    hping3(seconds)


if __name__ == "__main__":
    main()
