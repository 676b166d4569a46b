# SPDX-License-Identifier: BSD-3-Clause
"""Several client networks on one device, by VLANs, with unlike MTUs; and IP-security servers."""
import pathlib
import subprocess

from conftest import sha256, wait_for

PEER = pathlib.Path(__file__).parent / "ports_peer.py"
PYTHON = "/usr/bin/python3"
VLAN_SERVER, VLAN_CLIENT = "10.78.0.100", "10.78.0.2"
VLAN = """
[port "vlan20"]
device = net_af_packet0,iface=lan0,qdisc_bypass=1,framecnt=4096
vlan = 20
address = 10.78.0.1/24
mtu = 1300
"""
ESP, UDP, NATT = "50", "17", "4500"
IPSEC = """
[rule "esp"]
action = via
via = s2
protocol = esp

[rule "nat-traversal"]
action = via
via = s2
protocol = udp
destination-port = 4500
"""


def peer(lab, where, *args):
    """Starts a helper and waits until it is ready."""
    child = lab.start(where, PYTHON, PEER, *args, stdout=subprocess.PIPE, stderr=None, text=True)
    assert child.stdout.readline() == "ready\n"
    return child


def test_vlan_with_an_mtu_of_its_own(make_lab, www):
    """Two networks with unlike MTUs reach the same server, both ways, accelerated and not."""
    lab = make_lab(workers=2, shared=VLAN_SERVER, more=VLAN)
    path, up = www("f", 1 << 20), www("up", 1 << 20)
    lab.nginx(www.root)
    lab.nginx(www.root, port=81, accelerated=False)
    peer(lab, "client", "vlan", "eth0", "20", "v20", f"{VLAN_CLIENT}/24", "1300")
    trace = lab.tmp / "vlan.pcap"
    sniff = lab.start("client", "tcpdump", "--immediate-mode", "-U", "-s", "96", "-i", "eth0", "-w", trace)
    wait_for(trace.exists, what="tcpdump")
    for _ in range(3):  # the two networks in turn
        for address in (VLAN_SERVER, "10.77.0.11"):
            for port in (80, 81):
                assert lab.fetch(f"http://{address}:{port}/f") == sha256(path)
    lab.run("client", "curl", "-sS", "--fail", "-T", up, f"http://{VLAN_SERVER}/up/v")
    assert sha256(lab.tmp / "nginx-1-80" / "up" / "v") == sha256(up)
    sniff.terminate()
    sniff.wait(5)
    stats = lab.stats()
    assert stats["accel_commits"] >= 7 and stats["rdma_read_bytes"] >= 6 << 20
    assert stats["mss_clamped"] >= 4, "SYNs between an MTU of 1300 and one of 1500"
    longest = {}
    lines = lab.run("client", "tshark", "-r", trace, "-Y", "tcp", "-T", "fields", "-e", "vlan.id",
                    "-e", "ip.src", "-e", "ip.len").stdout.splitlines()
    for vid, source, length in (line.split("\t") for line in lines):
        assert source.startswith("10.78." if vid == "20" else "10.77."), (vid, source)
        longest[vid] = max(longest.get(vid, 0), int(length))
    assert longest == {"20": 1300, "": 1500}
    # what has no MSS is told: a datagram of the server that is too long for the VLAN
    ping = lab.run("server1", "ping", "-c2", "-i0.3", "-W1", "-M", "do", "-s", "1400", "-I", VLAN_SERVER,
                   VLAN_CLIENT, check=False)
    assert "mtu = 1300" in ping.stdout or "mtu=1300" in ping.stdout, ping.stdout
    assert lab.run("server1", "ping", "-c1", "-W2", "-s", "1200", "-I", VLAN_SERVER, VLAN_CLIENT)
    assert lab.stats()["too_big_sent"] >= 1
    # a tag that is nobody's, and a network without its tag
    assert lab.run("client", "ping", "-c1", "-W2", "10.78.0.1", check=False).returncode == 0
    before = lab.ctl("drops")["drops"].get("vlan", 0)
    peer(lab, "client", "vlan", "eth0", "21", "v21", "10.79.0.2/24", "1300")
    lab.run("client", "ping", "-c1", "-W1", "10.79.0.1", check=False)
    assert lab.ctl("drops")["drops"]["vlan"] > before
    # a server that comes is announced on each network, with its tag
    trace = lab.tmp / "announced.pcap"
    sniff = lab.start("client", "tcpdump", "--immediate-mode", "-U", "-i", "eth0", "-w", trace)
    wait_for(trace.exists, what="tcpdump")
    lab.kill("taghostd1")
    lab.restart_host()
    lab.wait_up()

    def announced():
        lines = lab.run("client", "tshark", "-r", trace, "-Y", "arp.isgratuitous", "-T", "fields", "-e",
                        "vlan.id", "-e", "arp.src.proto_ipv4", check=False).stdout.splitlines()
        return {tuple(line.split("\t")) for line in lines}

    wait_for(lambda: announced() == {("", "10.77.0.11"), ("20", VLAN_SERVER)}, 8, 0.3, "announcements")


def test_neighbours_configured_and_imported(make_lab):
    """A client that answers no ARP is reached by its configured MAC; learned ones outlive a restart."""
    mac = "02:00:00:00:00:02"
    lab = make_lab(workers=2, accelerate="off", port=f"neighbour = 10.77.0.2={mac}")
    ours = lab.ctl("map", "show", "native")["native"][0]["lan_mac"]
    lab.run("client", "ip", "link", "set", "eth0", "address", mac, "arp", "off")
    lab.run("client", "ip", "neigh", "replace", "10.77.0.11", "lladdr", ours, "dev", "eth0")
    lab.run("client", "ip", "addr", "add", "10.77.0.3/24", "dev", "eth0")
    assert lab.run("server1", "ping", "-c1", "-W2", "10.77.0.2").returncode == 0
    assert lab.run("server1", "ping", "-c1", "-W2", "10.77.0.3", check=False).returncode == 1

    def neighbours():
        return {n["address"]: n for n in lab.ctl("neigh", "list")["neighbours"]}

    assert neighbours()["10.77.0.2"]["state"] == "static"
    assert lab.run("client", "ping", "-c1", "-W2", "-I", "10.77.0.3", "10.77.0.11").returncode == 0
    assert neighbours()["10.77.0.3"]["mac"] == mac
    path = lab.tmp / "map.json"
    assert lab.ctl("map", "export", path)["neighbours"] == len(neighbours()) >= 2
    lab.kill("tagd")
    lab.restart_gateway()
    lab.wait_up()
    assert "10.77.0.3" not in neighbours()
    assert lab.ctl("map", "import", path)["neighbours"] >= 2
    assert neighbours()["10.77.0.3"]["state"] == "reachable"
    assert neighbours()["10.77.0.2"]["state"] == "static"
    assert lab.run("server1", "ping", "-c1", "-W2", "10.77.0.3").returncode == 0, "not asked for"


def test_ipsec_goes_by_its_server_first(make_lab):
    """ESP and its UDP form reach a server by way of an IP-security server, both ways; the rest does not."""
    lab = make_lab(servers=2, workers=2, accelerate="off", server2="forward = yes", more=IPSEC)
    lab.run("server2", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.tag0.rp_filter=0", "net.ipv4.conf.all.send_redirects=0",
            "net.ipv4.conf.tag0.send_redirects=0")
    peer(lab, "server1", "raw", ESP)
    peer(lab, "server1", "udp", NATT)
    peer(lab, "server1", "udp", "4501")
    passed = {p: peer(lab, "server2", "count", "tag0", p, "4") for p in (ESP, UDP)}
    assert lab.run("client", PYTHON, PEER, "ask", ESP, "10.77.0.11", "20").stdout.strip() == "20"
    assert lab.run("client", PYTHON, PEER, "askudp", NATT, "10.77.0.11", "20").stdout.strip() == "20"
    assert lab.run("client", PYTHON, PEER, "askudp", "4501", "10.77.0.11", "20").stdout.strip() == "20"
    seen = {p: int(child.stdout.readline()) for p, child in passed.items()}
    assert seen == {ESP: 40, UDP: 40}, "20 questions and 20 answers each, and no others"
    flows = [f for f in lab.ctl("map", "show", "flows")["flows"] if f["via"] == "s2"]
    assert {f["protocol"] for f in flows} == {50, 17} and len(flows) == 21
    assert {f["worker"] for f in flows} == {0, 1}
    assert all(f["server"] == "s1" for f in flows)
    # without its security server nothing gets through, and nothing goes around it
    lab.kill("taghostd2")
    wait_for(lambda: [s["state"] for s in lab.ctl("server", "list")["servers"]][1] != "up", 5, what="s2 gone")
    assert lab.run("client", PYTHON, PEER, "ask", ESP, "10.77.0.11", "1").stdout.strip() == "0"
    assert lab.run("client", PYTHON, PEER, "askudp", "4501", "10.77.0.11", "1").stdout.strip() == "1"
