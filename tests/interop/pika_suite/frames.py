"""What a client library's author sees: which frames answer which, in which order, with which words.

The connection here is a bare socket; pika only encodes and decodes the frames.
"""
import socket
import struct
import sys
from urllib.parse import unquote, urlsplit

from pika import frame as frames
from pika.spec import Access, Basic, BasicProperties, Channel, Confirm, Connection, Exchange, Queue, Tx

import checks
from checks import VHOST, same


class Wire:
    """One connection to the broker, spoken frame by frame."""

    def __init__(self, channels=(1,)):
        address = urlsplit(checks.os.environ["MQ_TEST_URL"])
        self.socket = socket.create_connection((address.hostname, address.port), timeout=20)
        self.buffered = b""
        self.socket.sendall(b"AMQP\0\0\x09\x01")
        self.start = self.read(Connection.Start)
        capabilities = {
            "basic.nack": True,
            "consumer_cancel_notify": True,
            "authentication_failure_close": True,
        }
        self.send(
            0,
            Connection.StartOk({"capabilities": capabilities}, "PLAIN", "\0guest\0guest", "en_US"),
        )
        self.tune = self.read(Connection.Tune)
        self.send(0, Connection.TuneOk(2047, 131072, 0))
        self.send(0, Connection.Open(unquote(address.path[1:])))
        self.read(Connection.OpenOk)
        for channel in channels:
            self.call(channel, Channel.Open())

    def send(self, channel, method, body=None, properties=None):
        """Writes a method, and its content when there is a body."""
        out = frames.Method(channel, method).marshal()
        if body is not None:
            out += frames.Header(channel, len(body), properties or BasicProperties()).marshal()
            if body:
                out += frames.Body(channel, body).marshal()
        self.socket.sendall(out)

    def next(self):
        """The next frame, heartbeats left out."""
        while True:
            used, frame = frames.decode_frame(self.buffered)
            if frame is None:
                more = self.socket.recv(1 << 16)
                if not more:
                    raise EOFError("the broker closed the socket")
                self.buffered += more
            else:
                self.buffered = self.buffered[used:]
                if not isinstance(frame, frames.Heartbeat):
                    return frame

    def read(self, kind, channel=None):
        """The next frame, which must be a method of this kind; returns the method."""
        frame = self.next()
        assert isinstance(frame, frames.Method) and isinstance(frame.method, kind), (
            "wanted %s, got %s" % (kind.NAME, frame)
        )
        assert channel in (None, frame.channel_number), frame
        return frame.method

    def content(self, kind, channel=None):
        """A method that carries content, with its properties and its body."""
        method = self.read(kind, channel)
        header = self.next()
        body = b""
        while len(body) < header.body_size:
            body += self.next().fragment
        return method, header.properties, body

    def call(self, channel, method):
        """Sends a method and returns the next method on the wire, whatever it is."""
        self.send(channel, method)
        frame = self.next()
        assert isinstance(frame, frames.Method) and frame.channel_number == channel, frame
        return frame.method

    def queue(self, channel=1, **options):
        """A server-named queue of this connection."""
        return self.call(channel, Queue.Declare(queue="", exclusive=True, **options)).queue

    def ready(self, queue, channel=1):
        """How many messages are ready in a queue.

        RabbitMQ may answer this before it looks at messages published just now: have them confirmed.
        """
        return self.call(channel, Queue.Declare(queue=queue, passive=True)).message_count

    def publish(self, key, body, channel=1, exchange="", properties=None, **flags):
        """Writes a message."""
        self.send(channel, Basic.Publish(exchange=exchange, routing_key=key, **flags), body, properties)

    def quiet(self, channel=1):
        """Asserts that nothing was on its way before the answer to one more question."""
        same(type(self.call(channel, Access.Request())).NAME, "Access.RequestOk")

    def close(self):
        """Ends the connection as one should."""
        self.send(0, Connection.Close(200, "bye", 0, 0))
        while True:
            frame = self.next()
            if isinstance(frame, frames.Method) and isinstance(frame.method, Connection.CloseOk):
                self.socket.close()
                return


def error(method):
    """What a close frame says."""
    return type(method).NAME, method.reply_code, method.reply_text, method.class_id, method.method_id


def refused(kind, code, text, cause, *sent, body=None):
    """Asserts how the last of some methods is refused, and that what must live on does."""
    wire = Wire()
    for method in sent[:-1]:
        wire.call(1, method)
    wire.send(1, sent[-1], body)
    wanted = (kind.Close.NAME, code, text) + (cause.INDEX >> 16, cause.INDEX & 0xFFFF)
    same(error(wire.next().method), wanted)
    if kind is Connection:
        wire.send(0, Connection.CloseOk())
        try:
            wire.next()
        except (EOFError, ConnectionResetError):
            return
        raise AssertionError("the connection outlived its close-ok")
    # Until close-ok nothing on the channel is answered; after it, its number is free again.
    wire.send(1, Queue.Declare(queue="ignored", exclusive=True))
    wire.send(1, Channel.CloseOk())
    same(type(wire.call(1, Channel.Open())).NAME, "Channel.OpenOk")
    same(wire.call(1, Queue.Declare(queue="ignored", passive=True)).reply_code, 404)
    wire.send(1, Channel.CloseOk())
    wire.close()


def check_handshake():
    wire = Wire()
    same((wire.start.version_major, wire.start.version_minor), (0, 9))
    mechanisms = wire.start.mechanisms.split()
    assert b"PLAIN" in mechanisms and b"AMQPLAIN" in mechanisms, mechanisms
    same(wire.start.locales, b"en_US")
    same((wire.tune.channel_max, wire.tune.frame_max, wire.tune.heartbeat), (2047, 131072, 60))
    wire.close()


def check_wrong_protocol_header():
    address = urlsplit(checks.os.environ["MQ_TEST_URL"])
    for header in (b"AMQP\0\0\x09\x02", b"GARBAGE!"):
        with socket.create_connection((address.hostname, address.port), timeout=20) as stream:
            stream.sendall(header)
            same(stream.recv(8, socket.MSG_WAITALL), b"AMQP\0\0\x09\x01")
            try:
                same(stream.recv(1), b"")
            except ConnectionResetError:
                pass


def check_server_named_things():
    wire = Wire()
    name = wire.queue()
    assert name.startswith("amq.gen-") and len(name) == len("amq.gen-") + 22, name
    tag = wire.call(1, Basic.Consume(queue=name)).consumer_tag
    assert tag.startswith("amq.ctag-") and len(tag) == len("amq.ctag-") + 22, tag
    wire.close()


def check_the_last_declared_queue():
    wire = Wire()
    name = wire.queue()
    wire.call(1, Queue.Bind(queue="", exchange="amq.direct", routing_key=""))
    # An empty key together with an empty queue name is the queue's name.
    wire.publish(name, b"1", exchange="amq.direct")
    method, _, body = (wire.send(1, Basic.Get(queue="")), wire.content(Basic.GetOk))[1]
    same((method.message_count, body), (0, b"1"))
    wire.call(1, Basic.Consume(queue="", consumer_tag="t"))
    same(wire.call(1, Queue.Declare(queue=name, passive=True)).consumer_count, 1)
    same(wire.call(1, Queue.Purge(queue="")).message_count, 0)
    wire.close()
    refused(
        Channel,
        404,
        "NOT_FOUND - no previously declared queue",
        Basic.Get,
        Basic.Get(queue=""),
    )


def check_no_wait():
    wire = Wire()
    wire.send(1, Exchange.Declare(exchange="x", type="fanout", nowait=True))
    wire.send(1, Queue.Declare(queue="q", exclusive=True, nowait=True))
    wire.send(1, Queue.Bind(queue="q", exchange="x", nowait=True))
    wire.send(1, Confirm.Select(nowait=True))
    wire.publish("", b"1", exchange="x")
    same(wire.read(Basic.Ack).delivery_tag, 1)
    wire.send(1, Basic.Consume(queue="q", consumer_tag="mine", nowait=True, no_ack=True))
    method, _, body = wire.content(Basic.Deliver)
    same((method.consumer_tag, method.delivery_tag, method.exchange, body), ("mine", 1, "x", b"1"))
    wire.send(1, Basic.Cancel(consumer_tag="mine", nowait=True))
    wire.send(1, Queue.Purge(queue="q", nowait=True))
    wire.send(1, Queue.Delete(queue="q", nowait=True))
    wire.send(1, Exchange.Delete(exchange="x", nowait=True))
    wire.quiet()
    same(wire.call(1, Queue.Declare(queue="q", passive=True)).reply_code, 404)
    wire.close()


def check_a_return_comes_before_its_confirm():
    wire = Wire()
    wire.call(1, Confirm.Select())
    wire.publish("nobody", b"lost", mandatory=True)
    method, _, body = wire.content(Basic.Return)
    same(
        (method.reply_code, method.reply_text, method.exchange, method.routing_key, body),
        (312, "NO_ROUTE", "", "nobody", b"lost"),
    )
    same(wire.read(Basic.Ack).delivery_tag, 1)
    wire.close()


def check_consume_ok_comes_before_deliveries():
    wire = Wire()
    queue = wire.queue()
    for body in (b"1", b"2"):
        wire.publish(queue, body)
    same(wire.call(1, Basic.Consume(queue=queue, consumer_tag="t")).consumer_tag, "t")
    same([wire.content(Basic.Deliver)[0].delivery_tag for _ in range(2)], [1, 2])
    # Tag 0 with multiple is everything so far, and nothing outstanding is no error.
    wire.send(1, Basic.Ack(delivery_tag=0, multiple=True))
    wire.send(1, Basic.Ack(delivery_tag=0, multiple=True))
    wire.quiet()
    same(wire.call(1, Basic.Cancel(consumer_tag="never heard of it")).consumer_tag, "never heard of it")
    wire.close()


def check_settling_by_cancel_and_close():
    wire = Wire((1, 2))
    queue = wire.queue()
    for body in (b"1", b"2", b"3"):
        wire.publish(queue, body)
    wire.call(1, Basic.Qos(prefetch_count=2))
    wire.call(1, Basic.Consume(queue=queue, consumer_tag="t"))
    same([wire.content(Basic.Deliver)[2] for _ in range(2)], [b"1", b"2"])
    wire.call(1, Basic.Cancel(consumer_tag="t"))
    # A cancelled consumer's messages stay its channel's until the channel is closed.
    same(wire.ready(queue), 1)
    same(type(wire.call(1, Channel.Close(200, "bye", 0, 0))).NAME, "Channel.CloseOk")
    # RabbitMQ answers before the queue has its messages back.
    ready = next((n for n in (wire.ready(queue, 2) for _ in range(10_000)) if n == 3), None)
    same(ready, 3)
    wire.send(2, Basic.Consume(queue=queue, consumer_tag="u"))
    wire.read(Basic.ConsumeOk)
    got = [wire.content(Basic.Deliver) for _ in range(3)]
    same([(m.redelivered, b) for m, _, b in got], [(True, b"1"), (True, b"2"), (False, b"3")])
    wire.close()


def check_round_robin_over_channels():
    wire = Wire((1, 2, 3))
    queue = wire.queue()
    for channel in (1, 2, 3):
        wire.call(channel, Basic.Consume(queue=queue, consumer_tag="c%d" % channel, no_ack=True))
    got = {}
    for number in range(9):
        wire.publish(queue, b"%d" % number)
        method, _, body = wire.content(Basic.Deliver)
        got.setdefault(method.consumer_tag, []).append(body)
    same(got, {"c1": [b"0", b"3", b"6"], "c2": [b"1", b"4", b"7"], "c3": [b"2", b"5", b"8"]})
    wire.close()


def check_a_consumer_is_cancelled_with_its_queue():
    wire = Wire((1, 2))
    queue = wire.queue()
    wire.call(1, Basic.Consume(queue=queue, consumer_tag="t"))
    wire.send(2, Queue.Delete(queue=queue))
    seen = {}
    for _ in range(2):
        frame = wire.next()
        seen[frame.channel_number] = frame.method
    same((seen[1].consumer_tag, seen[1].nowait), ("t", True))
    same(seen[2].message_count, 0)
    wire.close()


def check_bodies_are_cut_to_frame_max():
    wire = Wire()
    queue = wire.queue()
    body = bytes(range(256)) * 1024
    wire.call(1, Confirm.Select())
    wire.send(1, Basic.Publish(routing_key=queue))
    wire.socket.sendall(frames.Header(1, len(body), BasicProperties()).marshal())
    for start in range(0, len(body), 50000):
        wire.socket.sendall(frames.Body(1, body[start : start + 50000]).marshal())
    same(wire.read(Basic.Ack).delivery_tag, 1)
    wire.send(1, Basic.Get(queue=queue, no_ack=True))
    wire.read(Basic.GetOk)
    same(wire.next().body_size, len(body))
    pieces = []
    while sum(map(len, pieces)) < len(body):
        pieces.append(wire.next().fragment)
    same([len(piece) for piece in pieces], [131064, 131064, 16])
    assert b"".join(pieces) == body
    wire.close()


def check_channels_interleave():
    wire = Wire((1, 2))
    queue = wire.queue()
    for channel in (1, 2):
        wire.call(channel, Confirm.Select())
    wire.send(1, Basic.Publish(routing_key=queue))
    wire.publish(queue, b"first", channel=2)
    same(wire.read(Basic.Ack, 2).delivery_tag, 1)
    wire.socket.sendall(frames.Header(1, 5, BasicProperties()).marshal())
    wire.publish(queue, b"second", channel=2)
    same(wire.read(Basic.Ack, 2).delivery_tag, 2)
    wire.socket.sendall(frames.Body(1, b"third").marshal())
    same(wire.read(Basic.Ack, 1).delivery_tag, 1)
    for body in (b"first", b"second", b"third"):
        wire.send(1, Basic.Get(queue=queue, no_ack=True))
        same(wire.content(Basic.GetOk)[2], body)
    wire.close()


def check_transactions_hold_back_everything():
    wire = Wire((1, 2))
    queue = wire.queue()
    same(type(wire.call(1, Tx.Select())).NAME, "Tx.SelectOk")
    wire.publish("nobody", b"lost", mandatory=True)
    wire.publish(queue, b"kept")
    same(wire.ready(queue, 2), 0)
    wire.send(1, Tx.Commit())
    wire.content(Basic.Return)
    wire.read(Tx.CommitOk)
    same(wire.ready(queue, 2), 1)
    wire.close()


def check_flow_and_access_are_answered():
    wire = Wire()
    same(wire.call(1, Channel.Flow(active=True)).active, True)
    same(wire.call(1, Access.Request()).ticket, 1)
    wire.close()


def check_unacknowledged_messages_of_a_lost_connection():
    owner, lost = Wire(), Wire()
    owner.call(1, Queue.Declare(queue="left", auto_delete=True))
    owner.call(1, Confirm.Select())
    owner.publish("left", b"1")
    owner.read(Basic.Ack)
    lost.send(1, Basic.Get(queue="left"))
    same(lost.content(Basic.GetOk)[0].redelivered, False)
    same(type(owner.call(1, Basic.Get(queue="left"))).NAME, "Basic.GetEmpty")
    owner.call(1, Basic.Consume(queue="left", consumer_tag="t"))
    lost.socket.close()
    method, _, body = owner.content(Basic.Deliver)
    same((method.redelivered, body), (True, b"1"))
    owner.close()


def check_refused_on_the_channel():
    queue = Queue.Declare(queue="r", exclusive=True)
    missing = "NOT_FOUND - no %s 'nope' in vhost '" + VHOST + "'"
    no_queue, no_exchange = missing % "queue", missing % "exchange"
    for code, text, cause, *sent in (
        (404, no_queue, Queue.Declare, Queue.Declare(queue="nope", passive=True)),
        (404, no_queue, Queue.Bind, Queue.Bind(queue="nope", exchange="amq.direct")),
        (404, no_exchange, Queue.Bind, queue, Queue.Bind(queue="r", exchange="nope")),
        (404, no_queue, Queue.Purge, Queue.Purge(queue="nope")),
        (404, no_queue, Basic.Get, Basic.Get(queue="nope")),
        (404, no_queue, Basic.Consume, Basic.Consume(queue="nope")),
        (404, no_exchange, Exchange.Declare, Exchange.Declare(exchange="nope", passive=True)),
        (404, no_exchange, Exchange.Bind, Exchange.Bind(destination="amq.topic", source="nope")),
        (404, no_exchange, Exchange.Bind, Exchange.Bind(destination="nope", source="amq.topic")),
        (406, "PRECONDITION_FAILED - unknown delivery tag 1", Basic.Ack, Basic.Ack(delivery_tag=1)),
        (406, "PRECONDITION_FAILED - unknown delivery tag 0", Basic.Ack, Basic.Ack(delivery_tag=0)),
        (406, "PRECONDITION_FAILED - unknown delivery tag 2", Basic.Nack, Basic.Nack(delivery_tag=2)),
        (406, "PRECONDITION_FAILED - unknown delivery tag 3", Basic.Reject, Basic.Reject(delivery_tag=3)),
        (406, "PRECONDITION_FAILED - channel is not transactional", Tx.Commit, Tx.Commit()),
        (406, "PRECONDITION_FAILED - channel is not transactional", Tx.Rollback, Tx.Rollback()),
        (406, "PRECONDITION_FAILED - cannot switch from tx to confirm mode", Confirm.Select, Tx.Select(), Confirm.Select()),
        (406, "PRECONDITION_FAILED - cannot switch from confirm to tx mode", Tx.Select, Confirm.Select(), Tx.Select()),
        (403, "ACCESS_REFUSED - operation not permitted on the default exchange", Exchange.Declare, Exchange.Declare(exchange="", type="direct")),
        (403, "ACCESS_REFUSED - operation not permitted on the default exchange", Exchange.Delete, Exchange.Delete(exchange="")),
        (403, "ACCESS_REFUSED - queue name 'amq.q' contains reserved prefix 'amq.*'", Queue.Declare, Queue.Declare(queue="amq.q")),
        (403, "ACCESS_REFUSED - exchange name 'amq.x' contains reserved prefix 'amq.*'", Exchange.Declare, Exchange.Declare(exchange="amq.x", type="direct")),
    ):
        refused(Channel, code, text, cause, *sent)
    refused(Channel, 404, no_exchange, Basic.Publish, Basic.Publish(exchange="nope"), body=b"x")


def check_refused_on_the_connection():
    for code, text, cause, *sent in (
        (504, "CHANNEL_ERROR - second 'channel.open' seen", Channel.Open, Channel.Open()),
        (540, "NOT_IMPLEMENTED - active=false", Channel.Flow, Channel.Flow(active=False)),
        (540, "NOT_IMPLEMENTED - requeue=false", Basic.Recover, Basic.Recover(requeue=False)),
        (540, "NOT_IMPLEMENTED - prefetch_size!=0 (10)", Basic.Qos, Basic.Qos(prefetch_size=10)),
        (
            530,
            "NOT_ALLOWED - attempt to reuse consumer tag 't'",
            Basic.Consume,
            Queue.Declare(queue="r", exclusive=True),
            Basic.Consume(queue="r", consumer_tag="t"),
            Basic.Consume(queue="r", consumer_tag="t"),
        ),
    ):
        refused(Connection, code, text, cause, *sent)
    refused(
        Connection,
        540,
        "NOT_IMPLEMENTED - immediate=true",
        Basic.Publish,
        Basic.Publish(routing_key="r", immediate=True),
        body=b"x",
    )


def broken(text, code, raw, cause=(0, 0)):
    """Asserts how bytes that make no sense on channel 1 end the connection."""
    wire = Wire()
    wire.socket.sendall(raw)
    same(error(wire.next().method), ("Connection.Close", code, text) + cause)
    wire.send(0, Connection.CloseOk())
    wire.socket.close()


def check_broken_frames():
    publish = (60, 40)
    start = frames.Method(1, Basic.Publish(routing_key="q")).marshal()
    header = frames.Header(1, 5, BasicProperties()).marshal()
    unopened = frames.Method(9, Queue.Declare(queue="q")).marshal()
    for text, code, raw, *cause in (
        ("CHANNEL_ERROR - expected 'channel.open'", 504, unopened, (50, 10)),
        ("UNEXPECTED_FRAME - expected method frame, got non method frame instead", 505, header),
        (
            "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead",
            505,
            start + start,
            publish,
        ),
        (
            "UNEXPECTED_FRAME - expected content body, got non content body frame instead",
            505,
            start + header + start,
            publish,
        ),
        (
            "UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead",
            505,
            start + header.replace(b"\0\x3c\0\0", b"\0\x32\0\0"),
            publish,
        ),
        (
            "FRAME_ERROR - type 7, all octets = <<\"abc\">>: unknown_frame",
            501,
            struct.pack(">BHL", 7, 1, 3) + b"abc\xce",
        ),
        (
            "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,200000,131064}",
            501,
            struct.pack(">BHL", 1, 1, 200000),
        ),
    ):
        broken(text, code, raw, *cause)


if __name__ == "__main__":
    checks.run(sys.modules[__name__])
