# SPDX-License-Identifier: BSD-3-Clause
"""How accelerated connections end or come back: close, reset, hand-back, failure; and a mail fetched."""
from scapy.layers.inet import TCP

from cases_accel import letters, taken
from make import CLIENT, GW_MAC, S1, S1_MAC, Case, Flow

# --- close -----------------------------------------------------------------------------------------------

k = Case("close", "The program closes: all bytes go out and are acknowledged, then the connection is its kernel's, which sends the FIN natively.")
f = taken(k)
f.do(0.020, "send", "goodbye")
f.do(0.021, "close")
f.c(0.030, "A", ack=5008)
f.sseq = 5008
f.s(0.200, "FA")
f.c(0.201, "FA")
f.s(0.202)
k.expect("sequence lan0 payload=goodbye", "sequence lan0 tcp.flags=FA tcp.seq=5008", "counter handback_reasons.close = 1",
         "sequence fabric from=gw msg=DisConn reason=close", "sequence fabric from=s1 msg=HandbackAck",
         "sequence fabric from=gw op=datagram tcp.flags=FA", "conn c1 state=back reason=close", "count lan0 tcp.flags=FA = 1")

k = Case("close-unacknowledged", "A client that is slow to acknowledge delays the hand-back by two round trips at most.")
f = taken(k, conn={"srtt_us": 50000})
f.do(0.020, "send", "goodbye")
f.do(0.021, "close")
k.play(2, "case end")
k.expect("sequence fabric from=gw msg=DisConn reason=close", "conn c1 state=back reason=close")

k = Case("client-fin", "The client closes first: its FIN is placed as a flag, acknowledged, and the server may go on sending.")
f = taken(k)
f.c(0.020, "PA", b"last words")
f.c(0.021, "FA")
f.do(0.030, "send", "answer")
f.c(0.040, "A", ack=5007)
k.expect("sequence lan0 tcp.ack=1012", "sequence lan0 payload=answer tcp.ack=1012", 'received c1 "last words"', "conn c1 state=active",
         "sequence fabric from=gw msg=RdmaWrCompl")

k = Case("client-reset", "A RST at exactly the next sequence number ends the connection; its server resets its own socket (RFC 5961 3.2).")
f = taken(k)
f.c(0.020, "R", ack=0)
k.expect("conn c1 state=aborted reason=client-reset", "counter client_resets = 1", "sequence fabric from=gw msg=AbortConn reason=client-reset",
         "sequence fabric from=s1 msg=HandbackAck", "count lan0 tcp.flags=R = 0")

k = Case("client-reset-inexact", "A RST elsewhere in the window is challenged, not believed (RFC 5961 3.2).")
f = taken(k)
f.c(0.020, "R", seq=1001 + 500)
f.c(0.030, "PA", b"I never said that")
k.expect("packet lan0 2 tcp.flags=A tcp.seq=5001 tcp.ack=1001 time=0.020", 'received c1 "I never said that"', "counter client_resets = 0",
         "conn c1 state=active")

k = Case("client-reset-outside", "A RST outside the window is dropped.")
f = taken(k)
f.c(0.020, "R", seq=900000)
k.expect("count lan0 time=0.020 = 0", "counter client_resets = 0", "conn c1 state=active")

k = Case("syn-in-window", "A SYN in the middle of a connection is challenged (RFC 5961 4.2).")
f = taken(k)
f.c(0.020, "S", seq=1001 + 10)
k.expect("packet lan0 2 tcp.flags=A tcp.ack=1001 time=0.020", "conn c1 state=active")

k = Case("future-ack", "An ACK of bytes that were never sent is answered and dropped (RFC 9293 3.10.7.4).")
f = taken(k)
f.c(0.020, "PA", b"lie", ack=5001 + 9999)
k.expect("packet lan0 2 tcp.flags=A tcp.ack=1001", "received c1 bytes=0", "conn c1 state=active")

k = Case("abort", "The program closes with unread bytes: the server says AbortConn, the gateway stops at once and hands back.")
f = taken(k, conn={"reads": "no"})
f.c(0.020, "PA", b"never read")
f.do(0.030, "abort")
k.expect("conn c1 state=back", "counter host_aborts = 1", "sequence fabric from=s1 msg=AbortConn", "sequence fabric from=gw msg=DisConn")

# --- hand-back ----------------------------------------------------------------------------------------------

k = Case("revoke", "The server wants it back: what is out is acknowledged first, then DisConn; frames that come meanwhile are held and then go natively.")
f = taken(k, conn={"acks": "no"})
f.do(0.020, "send", "data")
f.do(0.021, "revoke")
f.c(0.030, "A", ack=5005)
f.c(0.200, "PA", b"held")
f.do(0.300, "ack")
f.c(0.400, "PA", b"native")
k.expect("sequence fabric from=gw msg=DisConn reason=command", "sequence fabric from=s1 msg=HandbackAck",
         "sequence fabric from=gw op=datagram payload=held", "sequence fabric from=gw op=datagram payload=native",
         "counter handbacks = 1", "received c1 bytes=0")

k = Case("decelerate", "conn decelerate: the operator gives a connection back.")
f = taken(k)
f.do(0.020, "send", "data")
f.c(0.030, "A", ack=5005)
k.play(0.100, 'gw "{\\"cmd\\":\\"conn decelerate\\",\\"conn\\":\\"10.77.0.2:40000\\"}"')
f.c(0.500, "PA", b"native")
k.expect("answer 1 has decelerated", "conn c1 state=back reason=command", "sequence fabric from=gw op=datagram payload=native")

k = Case("kill", "conn kill: the client is reset, the server is told.")
f = taken(k)
k.play(0.100, 'gw "{\\"cmd\\":\\"conn kill\\",\\"conn\\":\\"10.77.0.2:40000\\"}"')
k.expect("answer 1 has killed", "count lan0 tcp.flags=RA tcp.seq=5001 = 1", "conn c1 state=aborted")

k = Case("again", "After a hand-back the connection can be taken over again, from where it is then.")
f = taken(k)
f.do(0.020, "revoke")
f.c(0.100, "PA", b"native")
f.s(0.101)
f.conn(0.150, "c2", slot=5)
f.do(0.160, "take")
f.c(0.200, "PA", b"fast")
k.expect("conn c1 state=back reason=command", "conn c2 state=active", "received c2 fast", "counter accel_grants = 2")

k = Case("show", "conn list names both kinds.")
f = taken(k)
g = Flow(k, cport=40009).open(0.050)
k.play(0.100, 'gw "{\\"cmd\\":\\"conn list\\"}"')
k.expect("answer 1 has accelerated", "answer 1 has 10.77.0.2:40009", "answer 1 has native")

# --- failure ---------------------------------------------------------------------------------------------------

k = Case("qp-dies", "The queue pairs fail: the gateway falls silent for the connection, neither FIN nor RST, and forgets it; its server goes on natively.")
f = taken(k)
k.play(0.100, "s1 break")
f.do(0.101, "send", "lost")
f.c(0.110, "PA", b"unanswered")
k.play(3.0, "s1 attach")
f.c(4.0, "PA", b"native again", seq=1001)
k.expect("count lan0 tcp.flags=R = 0", "count lan0 tcp.flags=RA = 0", "count lan0 tcp.flags=FA = 0",
         'sequence fabric from=gw op=datagram payload="native again"')

k = Case("host-lost", "The agent dies without a word: silence until host-timeout, then the client is reset.", gateway={"host-timeout": 3})
k.play(0, "s1 attach")
f = taken(k)
k.play(1.0, "s1 lost")
f.c(2.0, "PA", b"unanswered")
k.play(6.0, "case end")
k.expect("count lan0 tcp.ack=1011 = 0", "count lan0 tcp.flags=RA tcp.seq=5001 = 1", "count lan0 tcp.flags=RA time!=4 <= 1")

k = Case("host-returns", "The same agent is back in time: it has its connections, the gateway forgets them, nobody is reset.", gateway={"host-timeout": 5})
k.play(0, "s1 attach epoch=77")
f = taken(k)
k.play(1.0, "s1 lost")
k.play(2.0, "s1 attach epoch=77")
f.c(3.0, "PA", b"natively")
k.play(10.0, "case end")
k.expect("sequence fabric from=gw op=datagram payload=natively", "count lan0 tcp.flags=RA = 0", "count lan0 tcp.ack=1009 = 0")

k = Case("host-restarts", "Another agent attaches in the name of the lost one: what the old one had is gone, its clients are reset.", gateway={"host-timeout": 5})
k.play(0, "s1 attach epoch=77")
f = taken(k)
k.play(1.0, "s1 lost")
k.play(2.0, "s1 attach epoch=78")
k.expect("count lan0 tcp.flags=RA tcp.seq=5001 = 1")

# --- Fig. 12 ---------------------------------------------------------------------------------------------------

k = Case("mail", """A mail is fetched: the exchange of figure 12, packet for packet.

Connect (frames 1230, 1236, 1237 in packets 1211 to 1213) and the request to send mail (1240 in 1214, its
acknowledgement 1241 from 1215) go natively. The server's send becomes a request for acceleration (1216),
which is granted (1217). The gateway READs the mail from the server's memory (1218, 1219), and everything that
brings it to the client (1250 to 1253, 1260, 1261, 1268, 1269) is made by the gateway.""")
f = Flow(k, sport=110, options=[("MSS", 1460), ("WScale", 7), ("SAckOK", b"")])
f.open(0.001)
f.c(0.010, "PA", b"RETR 1\r\n")
f.s(0.011, "A")
f.conn(0.012, "mail")
mail = b"+OK\r\n" + b"Subject: figure 12\r\n\r\n" + letters(0, 11653 - 27 - 5) + b"\r\n.\r\n"
f.do(0.013, "send", '"+OK\\r\\nSubject: figure 12\\r\\n\\r\\n' + letters(0, len(mail) - 32).decode() + '\\r\\n.\\r\\n"')
f.do(0.020, "take")
f.c(0.030, "A", ack=5001 + 2920)
f.c(0.031, "A", ack=5001 + 5840)
f.c(0.032, "A", ack=5001 + 8760)
f.c(0.033, "A", ack=5001 + len(mail))
f.c(0.050, "PA", b"QUIT\r\n", ack=5001 + len(mail))
k.expect(
    "# 1211 to 1215, natively",
    "sequence fabric from=gw to=s1 op=datagram tcp.flags=S dport=110", "sequence fabric from=s1 op=datagram tcp.flags=SA",
    "sequence fabric from=gw to=s1 op=datagram tcp.flags=A", 'sequence fabric from=gw to=s1 op=datagram payload="RETR 1.."',
    "sequence fabric from=s1 op=datagram tcp.flags=A tcp.ack=1009",
    "# 1216, 1217: request and grant", "sequence fabric from=s1 msg=AccelReq", "sequence fabric from=gw msg=AccelGrant",
    "sequence fabric from=s1 msg=AccelCommit",
    "# 1218, 1219: READ of the mail, its data", f"sequence fabric from=gw op=read bytes={len(mail)}",
    f"sequence fabric from=s1 op=answer bytes={len(mail)}",
    "# no frame of the mail passes natively", "count fabric from=s1 op=datagram = 2", "count fabric from=gw op=datagram = 3",
    "# 1236, 1241", "packet lan0 1 tcp.flags=SA tcp.seq=5000", "packet lan0 2 tcp.flags=A tcp.seq=5001 tcp.ack=1009 tcp.len=0",
    "# 1250 to 1269: the mail, from its first byte to its last",
    *[f"sequence lan0 tcp.seq={5001 + o} tcp.len={min(1460, len(mail) - o)} tcp.ack=1009 ip.src={S1} eth.src={GW_MAC}"
      for o in range(0, len(mail), 1460)],
    f"counter tcp_bytes_out = {len(mail)}", "counter tcp_retransmits = 0", "counter rdma_reads = 1", "sequence lan0 tcp.ack=1015",
    'received mail "QUIT\\r\\n"', "conn mail state=active", "count lan0 sound!=yes = 0")
