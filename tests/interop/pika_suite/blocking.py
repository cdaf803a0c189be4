"""What a program on the current pika's blocking connection relies on, error texts included."""
import datetime
import decimal
import sys
import time

import pika
from pika.exceptions import (
    ChannelClosedByBroker,
    ChannelWrongStateError,
    ConnectionClosedByBroker,
    ProbableAuthenticationError,
    UnroutableError,
)

import checks
from checks import VHOST, connect, expect, parameters, refused, same


def in_vhost(kind, name):
    """The way the broker names a resource."""
    return "%s '%s' in vhost '%s'" % (kind, name, VHOST)


def fresh_queue(channel, **kwargs):
    """A server-named queue that goes with its connection."""
    return channel.queue_declare("", exclusive=True, **kwargs).method.queue


def take(channel, queue, count):
    """The next messages of a queue, acknowledged; fails when they do not come in ten seconds."""
    taken = []
    for method, properties, body in channel.consume(queue, inactivity_timeout=10):
        assert method is not None, "only %d of %d messages came" % (len(taken), count)
        channel.basic_ack(method.delivery_tag)
        taken.append((method, properties, body))
        if len(taken) == count:
            break
    channel.cancel()
    return taken


def check_server_properties():
    connection = connect()
    properties = connection._impl.server_properties
    same(properties["capabilities"]["publisher_confirms"], True)
    for name in (
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ):
        same((name, properties["capabilities"].get(name)), (name, True))
    for name in ("product", "version", "platform", "cluster_name", "copyright", "information"):
        assert isinstance(properties[name], str), name
    same(connection._impl.params.channel_max, 2047)
    same(connection._impl.params.frame_max, 131072)
    connection.close()


def check_confirms_and_mandatory_returns():
    connection = connect()
    channel = connection.channel()
    queue = fresh_queue(channel)
    channel.confirm_delivery()
    for number in range(100):
        channel.basic_publish("", queue, str(number), mandatory=True)
    same(channel.queue_declare(queue, passive=True).method.message_count, 100)
    lost = expect(
        UnroutableError, channel.basic_publish, "amq.direct", "nobody", b"lost", mandatory=True
    )
    (returned,) = lost.messages
    same(
        (
            returned.method.reply_code,
            returned.method.reply_text,
            returned.method.exchange,
            returned.method.routing_key,
            returned.body,
        ),
        (312, "NO_ROUTE", "amq.direct", "nobody", b"lost"),
    )
    channel.basic_publish("amq.direct", "nobody", b"unroutable, but nobody minds")
    same([body for _, _, body in take(channel, queue, 100)], [b"%d" % n for n in range(100)])
    connection.close()


def check_exchange_to_exchange():
    connection = connect()
    channel = connection.channel()
    channel.exchange_declare("upper", "topic", auto_delete=True)
    channel.exchange_declare("lower", "fanout", auto_delete=True)
    queue = fresh_queue(channel)
    channel.queue_bind(queue, "lower")
    channel.exchange_bind("lower", "upper", "a.*")
    channel.confirm_delivery()
    channel.basic_publish("upper", "a.b", b"through", mandatory=True)
    expect(UnroutableError, channel.basic_publish, "upper", "b", b"not", mandatory=True)
    ((method, _, body),) = take(channel, queue, 1)
    same((method.exchange, method.routing_key, body), ("upper", "a.b", b"through"))
    channel.exchange_unbind("lower", "upper", "a.*")
    # The last binding from it is gone, and so is the auto-delete exchange.
    same(
        refused(channel.exchange_declare, "upper", passive=True),
        (404, "NOT_FOUND - no %s" % in_vhost("exchange", "upper")),
    )
    connection.close()


def check_headers_exchange():
    connection = connect()
    channel = connection.channel()
    wanted = {
        "all": ({"x-match": "all", "a": 1, "b": "two"}, [b"both", b"more"]),
        "default": ({"a": 1, "b": "two"}, [b"both", b"more"]),
        "any": ({"x-match": "any", "a": 1, "b": "two"}, [b"both", b"one", b"more"]),
        "empty": ({"x-match": "all"}, [b"both", b"one", b"more", b"none", b"type"]),
        "empty any": ({"x-match": "any"}, []),
    }
    queues = {}
    for name, (arguments, _) in wanted.items():
        queues[name] = fresh_queue(channel)
        channel.queue_bind(queues[name], "amq.headers", "ignored", arguments=arguments)
    for body, headers in (
        (b"both", {"a": 1, "b": "two"}),
        (b"one", {"a": 1, "b": "three"}),
        (b"more", {"a": 1, "b": "two", "c": True}),
        (b"none", {"a": 2}),
        (b"type", {"a": "1"}),
    ):
        channel.basic_publish("amq.headers", "", body, pika.BasicProperties(headers=headers))
    for name, (_, bodies) in wanted.items():
        same((name, [b for _, _, b in take(channel, queues[name], len(bodies))] if bodies else []), (name, bodies))
        same(channel.queue_declare(queues[name], passive=True).method.message_count, 0)
    same(
        refused(channel.queue_bind, queues["all"], "amq.headers", arguments={"x-match": "bogus"})[0], 406
    )
    connection.close()


def check_direct_reply_to():
    connection = connect()
    client, server = connection.channel(), connection.channel()
    requests = fresh_queue(server)
    replies = []
    client.basic_consume(
        "amq.rabbitmq.reply-to",
        lambda _c, method, properties, body: replies.append(
            (method.exchange, properties.correlation_id, body)
        ),
        auto_ack=True,
    )
    client.basic_publish(
        "",
        requests,
        b"question",
        pika.BasicProperties(reply_to="amq.rabbitmq.reply-to", correlation_id="7"),
    )
    ((_, properties, body),) = take(server, requests, 1)
    same(body, b"question")
    assert properties.reply_to.startswith("amq.rabbitmq.reply-to."), properties.reply_to
    there = server.queue_declare(properties.reply_to, passive=True).method
    same((there.message_count, there.consumer_count), (0, 1))
    server.basic_publish(
        "", properties.reply_to, b"answer", pika.BasicProperties(correlation_id="7")
    )
    while not replies:
        connection.process_data_events(time_limit=10)
    same(replies, [("", "7", b"answer")])
    connection.close()


def check_direct_reply_to_errors():
    connection = connect()
    same(
        refused(connection.channel().basic_consume, "amq.rabbitmq.reply-to", print),
        (406, "PRECONDITION_FAILED - reply consumer cannot acknowledge"),
    )
    channel = connection.channel()
    channel.confirm_delivery()
    same(
        refused(
            channel.basic_publish,
            "",
            "anywhere",
            b"",
            pika.BasicProperties(reply_to="amq.rabbitmq.reply-to"),
        ),
        (406, "PRECONDITION_FAILED - fast reply consumer does not exist"),
    )
    channel = connection.channel()
    channel.basic_consume("amq.rabbitmq.reply-to", print, auto_ack=True)
    same(
        refused(channel.basic_consume, "amq.rabbitmq.reply-to", print, auto_ack=True),
        (406, "PRECONDITION_FAILED - reply consumer already set"),
    )
    connection.close()


def check_consumer_cancel_notification():
    connection = connect()
    watcher, other = connection.channel(), connection.channel()
    queue = fresh_queue(other)
    cancelled = []
    watcher.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
    tag = watcher.basic_consume(queue, print)
    other.queue_delete(queue)
    while not cancelled:
        connection.process_data_events(time_limit=10)
    same(cancelled, [tag])
    # The channel is as good as before.
    watcher.queue_declare("", exclusive=True)
    connection.close()


def check_exclusive_queue():
    owner, stranger = connect(), connect()
    owner.channel().queue_declare("mine", exclusive=True)
    locked = (
        405,
        "RESOURCE_LOCKED - cannot obtain exclusive access to locked %s. It could be originally declared"
        " on another connection or the exclusive property value does not match that of the original"
        " declaration." % in_vhost("queue", "mine"),
    )
    same(refused(stranger.channel().queue_declare, "mine", exclusive=True), locked)
    same(refused(stranger.channel().queue_declare, "mine", passive=True), locked)
    same(refused(stranger.channel().basic_get, "mine"), locked)
    same(refused(stranger.channel().basic_consume, "mine", print), locked)
    same(refused(stranger.channel().queue_bind, "mine", "amq.fanout"), locked)
    same(refused(stranger.channel().queue_purge, "mine"), locked)
    same(refused(stranger.channel().queue_delete, "mine"), locked)
    owner.close()
    same(
        refused(stranger.channel().queue_declare, "mine", passive=True),
        (404, "NOT_FOUND - no %s" % in_vhost("queue", "mine")),
    )
    stranger.close()


def check_inequivalent_queue():
    connection = connect()
    channel = connection.channel()
    arguments = {"x-message-ttl": 60000}
    channel.queue_declare("q", auto_delete=True, arguments=arguments)

    def again(**kwargs):
        kwargs = {"auto_delete": True, "arguments": arguments, **kwargs}
        return refused(connection.channel().queue_declare, "q", **kwargs)

    def differs(what, rest):
        return 406, "PRECONDITION_FAILED - inequivalent arg '%s' for %s: %s" % (
            what,
            in_vhost("queue", "q"),
            rest,
        )

    same(again(durable=True), differs("durable", "received 'true' but current is 'false'"))
    same(again(auto_delete=False), differs("auto_delete", "received 'false' but current is 'true'"))
    same(
        again(arguments={"x-message-ttl": 1000}),
        differs("x-message-ttl", "received '1000' but current is '60000'"),
    )
    same(
        again(arguments=None),
        differs(
            "x-message-ttl",
            "received none but current is the value '60000' of type 'signedint'",
        ),
    )
    same(
        again(arguments={**arguments, "x-max-length": 3}),
        differs(
            "x-max-length",
            "received the value '3' of type 'signedint' but current is none",
        ),
    )
    same(again(exclusive=True)[0], 405)
    channel.queue_declare("q", auto_delete=True, arguments=arguments)
    channel.queue_delete("q")
    connection.close()


def check_inequivalent_exchange():
    connection = connect()
    channel = connection.channel()
    channel.exchange_declare("x", "direct", auto_delete=True)

    def again(**kwargs):
        kwargs = {"exchange_type": "direct", "auto_delete": True, **kwargs}
        return refused(connection.channel().exchange_declare, "x", **kwargs)

    def differs(what, received, current):
        return (
            406,
            "PRECONDITION_FAILED - inequivalent arg '%s' for %s: received '%s' but current is '%s'"
            % (what, in_vhost("exchange", "x"), received, current),
        )

    same(again(exchange_type="fanout"), differs("type", "fanout", "direct"))
    same(again(durable=True), differs("durable", "true", "false"))
    same(again(auto_delete=False), differs("auto_delete", "false", "true"))
    same(again(internal=True), differs("internal", "true", "false"))
    channel.exchange_delete("x")
    connection.close()


def check_refusals():
    connection = connect()
    channel = connection.channel
    same(
        refused(channel().queue_declare, "amq.mine"),
        (403, "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'"),
    )
    same(
        refused(channel().exchange_declare, "amq.mine"),
        (403, "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'"),
    )
    same(
        refused(channel().exchange_delete, "amq.topic"),
        (
            403,
            "ACCESS_REFUSED - deletion of system %s not allowed" % in_vhost("exchange", "amq.topic"),
        ),
    )
    topology = channel()
    queue = fresh_queue(topology)
    same(
        refused(channel().queue_bind, queue, "", "key"),
        (403, "ACCESS_REFUSED - operation not permitted on the default exchange"),
    )
    topology.exchange_declare("inner", "fanout", internal=True, auto_delete=True)
    publisher = channel()
    publisher.confirm_delivery()
    same(
        refused(publisher.basic_publish, "inner", "", b""),
        (403, "ACCESS_REFUSED - cannot publish to internal %s" % in_vhost("exchange", "inner")),
    )
    topology.exchange_delete("inner")
    publisher = channel()
    publisher.confirm_delivery()
    same(
        refused(publisher.basic_publish, "nope", "", b""),
        (404, "NOT_FOUND - no %s" % in_vhost("exchange", "nope")),
    )
    same(
        refused(channel().queue_bind, "nope", "amq.direct"),
        (404, "NOT_FOUND - no %s" % in_vhost("queue", "nope")),
    )
    same(refused(channel().basic_get, "nope"), (404, "NOT_FOUND - no %s" % in_vhost("queue", "nope")))
    same(refused(channel().queue_purge, "nope"), (404, "NOT_FOUND - no %s" % in_vhost("queue", "nope")))
    same(refused(channel().queue_declare, "", passive=True)[0], 404)
    # Deleting what is not there is no error.
    channel().queue_delete("nope")
    channel().exchange_delete("nope")
    channel().queue_unbind("nope", "nope")
    connection.close()


def check_unknown_delivery_tag():
    connection = connect()
    channel = connection.channel()
    channel.basic_ack(99)
    closed = expect(ChannelClosedByBroker, channel.queue_declare, "", exclusive=True)
    same(
        (closed.reply_code, closed.reply_text),
        (406, "PRECONDITION_FAILED - unknown delivery tag 99"),
    )
    expect(ChannelWrongStateError, channel.basic_ack, 1)
    channel = connection.channel()
    queue = fresh_queue(channel)
    channel.basic_publish("", queue, b"once")
    method, _, _ = channel.basic_get(queue)
    channel.basic_ack(method.delivery_tag)
    channel.basic_nack(method.delivery_tag)
    closed = expect(ChannelClosedByBroker, channel.queue_declare, "", exclusive=True)
    same(closed.reply_text, "PRECONDITION_FAILED - unknown delivery tag 1")
    connection.close()


def check_get_and_requeue_keep_the_order():
    connection = connect()
    channel = connection.channel()
    queue = fresh_queue(channel)
    same(channel.basic_get(queue), (None, None, None))
    for body in (b"1", b"2", b"3", b"4"):
        channel.basic_publish("", queue, body)
    seen = [channel.basic_get(queue) for _ in range(3)]
    same(
        [(m.message_count, m.redelivered, m.exchange, m.routing_key, b) for m, _, b in seen],
        [(3, False, "", queue, b"1"), (2, False, "", queue, b"2"), (1, False, "", queue, b"3")],
    )
    channel.basic_nack(seen[1][0].delivery_tag, multiple=True, requeue=True)
    channel.basic_reject(seen[2][0].delivery_tag, requeue=True)
    same(
        [(m.redelivered, b) for m, _, b in take(channel, queue, 4)],
        [(True, b"1"), (True, b"2"), (True, b"3"), (False, b"4")],
    )
    channel.basic_publish("", queue, b"dropped")
    method, _, _ = channel.basic_get(queue)
    channel.basic_reject(method.delivery_tag, requeue=False)
    same(channel.basic_get(queue), (None, None, None))
    connection.close()


def check_recover():
    connection = connect()
    channel = connection.channel()
    queue = fresh_queue(channel)
    for body in (b"1", b"2"):
        channel.basic_publish("", queue, body)
    same([channel.basic_get(queue)[2] for _ in range(2)], [b"1", b"2"])
    channel.basic_recover(requeue=True)
    same([(m.redelivered, b) for m, _, b in take(channel, queue, 2)], [(True, b"1"), (True, b"2")])
    connection.close()


def check_prefetch():
    connection = connect()
    channel = connection.channel()
    queue = fresh_queue(channel)
    for number in range(5):
        channel.basic_publish("", queue, b"%d" % number)
    channel.basic_qos(prefetch_count=2)
    tags = []
    channel.basic_consume(queue, lambda _c, method, _p, _b: tags.append(method.delivery_tag))
    while len(tags) < 2:
        connection.process_data_events(time_limit=10)
    same(channel.queue_declare(queue, passive=True).method.message_count, 3)
    channel.basic_ack(tags[1], multiple=True)
    while len(tags) < 4:
        connection.process_data_events(time_limit=10)
    same(channel.queue_declare(queue, passive=True).method.message_count, 1)
    same(tags, [1, 2, 3, 4])
    connection.close()


def check_prefetch_of_a_channel():
    connection = connect()
    channel = connection.channel()
    first, second = fresh_queue(channel), fresh_queue(channel)
    channel.basic_qos(prefetch_count=3, global_qos=True)
    tags = []
    for queue in (first, second):
        for number in range(3):
            channel.basic_publish("", queue, b"%d" % number)
        channel.basic_consume(queue, lambda _c, method, _p, _b: tags.append(method.delivery_tag))
    while len(tags) < 3:
        connection.process_data_events(time_limit=10)

    def waiting():
        return sum(
            channel.queue_declare(queue, passive=True).method.message_count
            for queue in (first, second)
        )

    same(waiting(), 3)
    channel.basic_ack(tags[0])
    while len(tags) < 4:
        connection.process_data_events(time_limit=10)
    same(waiting(), 2)
    connection.close()


def check_exclusive_and_duplicate_consumers():
    connection = connect()
    channel = connection.channel()
    queue = fresh_queue(channel)
    channel.basic_consume(queue, print, exclusive=True)
    taken = (403, "ACCESS_REFUSED - %s in exclusive use" % in_vhost("queue", queue))
    same(refused(connection.channel().basic_consume, queue, print), taken)
    same(refused(connection.channel().basic_consume, queue, print, exclusive=True), taken)
    same(
        refused(connection.channel().queue_delete, queue, if_unused=True),
        (406, "PRECONDITION_FAILED - %s in use" % in_vhost("queue", queue)),
    )
    connection.close()


def check_conditional_deletes():
    connection = connect()
    channel = connection.channel()
    channel.confirm_delivery()
    queue = fresh_queue(channel)
    for _ in range(3):
        channel.basic_publish("", queue, b"")
    same(
        refused(connection.channel().queue_delete, queue, if_empty=True),
        (406, "PRECONDITION_FAILED - %s not empty" % in_vhost("queue", queue)),
    )
    same(channel.queue_purge(queue).method.message_count, 3)
    channel.basic_publish("", queue, b"")
    same(channel.queue_delete(queue).method.message_count, 1)
    channel.exchange_declare("used", "fanout")
    queue = fresh_queue(channel)
    channel.queue_bind(queue, "used")
    same(
        refused(connection.channel().exchange_delete, "used", if_unused=True),
        (406, "PRECONDITION_FAILED - %s in use" % in_vhost("exchange", "used")),
    )
    channel.queue_unbind(queue, "used")
    channel.exchange_delete("used", if_unused=True)
    connection.close()


def check_auto_delete_queue():
    connection = connect()
    channel = connection.channel()
    channel.queue_declare("short", auto_delete=True)
    first = channel.basic_consume("short", print)
    second = channel.basic_consume("short", print)
    channel.basic_cancel(first)
    same(channel.queue_declare("short", passive=True).method.consumer_count, 1)
    channel.basic_cancel(second)
    same(refused(channel.queue_declare, "short", passive=True)[0], 404)
    connection.close()


def check_transactions():
    connection = connect()
    channel, witness = connection.channel(), connection.channel()
    queue = fresh_queue(channel)

    def waiting():
        return witness.queue_declare(queue, passive=True).method.message_count

    channel.tx_select()
    channel.basic_publish("", queue, b"never")
    channel.tx_rollback()
    channel.basic_publish("", queue, b"1")
    channel.basic_publish("", queue, b"2")
    same(waiting(), 0)
    channel.tx_commit()
    same(waiting(), 2)
    method, _, body = channel.basic_get(queue)
    same(body, b"1")
    channel.basic_ack(method.delivery_tag)
    channel.tx_rollback()
    # The acknowledgement was taken back: it can be given again, and this time it counts.
    channel.basic_ack(method.delivery_tag)
    channel.tx_commit()
    same([b for _, _, b in take(witness, queue, 1)], [b"2"])
    same(
        refused(connection.channel().tx_commit),
        (406, "PRECONDITION_FAILED - channel is not transactional"),
    )
    channel = connection.channel()
    channel.tx_select()
    same(
        refused(channel.confirm_delivery),
        (406, "PRECONDITION_FAILED - cannot switch from tx to confirm mode"),
    )
    connection.close()


def check_properties_and_bodies():
    connection = connect()
    channel = connection.channel()
    queue = fresh_queue(channel)
    sent = pika.BasicProperties(
        content_type="application/octet-stream",
        content_encoding="identity",
        headers={
            "bool": True,
            "int": -7,
            "long": 1 << 40,
            "text": "grüße 你好",
            "bytes": b"\x00\xff",
            "none": None,
            "decimal": decimal.Decimal("3.14"),
            "time": datetime.datetime(2020, 2, 29, 12, 30, tzinfo=datetime.timezone.utc),
            "list": [1, "two", [3, None], {"deep": [True]}],
            "table": {"a": {"b": {"c": "d"}}},
            "empty": {},
        },
        delivery_mode=2,
        priority=9,
        correlation_id="c",
        reply_to="r",
        expiration="60000",
        message_id="m",
        timestamp=1234567890,
        type="t",
        user_id="guest",
        app_id="a",
        cluster_id="cl",
    )
    bodies = [b"", b"x", b"y" * 131064, b"z" * 131065, bytes(range(256)) * 8192]
    for body in bodies:
        channel.basic_publish("", queue, body, sent)
    for (_, got, body), wanted in zip(take(channel, queue, len(bodies)), bodies):
        same(got, sent)
        assert body == wanted, "a body of %d bytes came as %d" % (len(wanted), len(body))
    channel.confirm_delivery()
    same(
        refused(channel.basic_publish, "", queue, b"", pika.BasicProperties(user_id="other")),
        (
            406,
            "PRECONDITION_FAILED - user_id property set to 'other' but authenticated user was 'guest'",
        ),
    )
    connection.close()


def check_login_and_vhost():
    lost = expect(
        ProbableAuthenticationError,
        connect,
        credentials=pika.PlainCredentials("guest", "wrong"),
    )
    assert (
        "(403) 'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN."
        " For details see the broker logfile.'" in str(lost)
    ), lost
    try:
        connect(virtual_host="nowhere")
    except pika.exceptions.AMQPConnectionError as error:
        assert "(530) 'NOT_ALLOWED - vhost nowhere not found'" in str(error), repr(error)
    else:
        raise AssertionError("a vhost that is not there was opened")


def check_connection_errors():
    connection = connect()
    channel = connection.channel()
    queue = fresh_queue(channel)
    channel.basic_consume(queue, print, consumer_tag="same")
    # pika itself refuses a tag it knows of, so it is asked on the wire.
    channel._impl._send_method(pika.spec.Basic.Consume(queue=queue, consumer_tag="same"))
    closed = expect(ConnectionClosedByBroker, connection.process_data_events, time_limit=10)
    same(
        (closed.reply_code, closed.reply_text),
        (530, "NOT_ALLOWED - attempt to reuse consumer tag 'same'"),
    )
    connection = connect()
    channel = connection.channel()
    channel._impl._send_method(pika.spec.Basic.Qos(prefetch_size=10))
    closed = expect(ConnectionClosedByBroker, connection.process_data_events, time_limit=10)
    same(
        (closed.reply_code, closed.reply_text),
        (540, "NOT_IMPLEMENTED - prefetch_size!=0 (10)"),
    )


def check_heartbeats_keep_an_idle_connection():
    connection = connect(heartbeat=1)
    channel = connection.channel()
    queue = fresh_queue(channel)
    end = time.monotonic() + 3.5
    while time.monotonic() < end:
        connection.process_data_events(time_limit=0.5)
    channel.basic_publish("", queue, b"still here")
    same(channel.basic_get(queue)[2], b"still here")
    connection.close()


if __name__ == "__main__":
    checks.run(sys.modules[__name__])
