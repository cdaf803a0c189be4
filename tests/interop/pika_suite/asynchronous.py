"""What a program on the current pika's callback-driven connection relies on."""
import sys

import pika

import checks
from checks import VHOST, parameters, same

DEADLINE = 30


class Conversation:
    """One SelectConnection; subclasses say what happens once the channel is open."""

    def __init__(self):
        self.failure = None
        self.connection = pika.SelectConnection(
            parameters(),
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._opened),
            on_open_error_callback=lambda _connection, error: self.fail(error),
            on_close_callback=lambda connection, _reason: connection.ioloop.stop(),
        )
        self.connection.ioloop.call_later(DEADLINE, lambda: self.fail("took too long"))
        self.connection.ioloop.start()
        assert self.failure is None, self.failure

    def _opened(self, channel):
        self.channel = channel
        self.on_channel(channel)

    def fail(self, why):
        """Ends the conversation as a failed one."""
        self.failure = why
        self.connection.ioloop.stop()

    def done(self):
        """Ends the conversation well."""
        self.connection.close()


class Confirms(Conversation):
    """Hundreds of messages in flight; a return comes before the confirm of its message."""

    COUNT = 500

    def on_channel(self, channel):
        self.events = []
        self.unconfirmed = set(range(1, self.COUNT + 2))
        channel.add_on_return_callback(self.on_return)
        channel.confirm_delivery(self.on_confirm, callback=self.on_confirming)

    def on_confirming(self, _frame):
        self.channel.queue_declare("", exclusive=True, callback=self.on_queue)

    def on_queue(self, frame):
        self.queue = frame.method.queue
        for number in range(self.COUNT):
            self.channel.basic_publish("", self.queue, str(number))
        self.channel.basic_publish("", "nobody", b"lost", mandatory=True)

    def on_return(self, _channel, method, _properties, body):
        same((method.reply_code, method.reply_text, body), (312, "NO_ROUTE", b"lost"))
        self.events.append("return")

    def on_confirm(self, frame):
        assert isinstance(frame.method, pika.spec.Basic.Ack), frame
        tag = frame.method.delivery_tag
        several = {t for t in self.unconfirmed if t <= tag} if frame.method.multiple else {tag}
        if self.COUNT + 1 in several:
            same(self.events, ["return"])
        self.unconfirmed -= several
        if not self.unconfirmed:
            self.channel.queue_delete(self.queue, callback=self.on_deleted)

    def on_deleted(self, frame):
        same(frame.method.message_count, self.COUNT)
        self.done()


class Cancels(Conversation):
    """A consumer that cancels itself in time gets no more; what it holds goes back."""

    def on_channel(self, channel):
        self.got = []
        channel.basic_qos(prefetch_count=3, callback=self.on_qos)

    def on_qos(self, _frame):
        self.channel.queue_declare("", exclusive=True, callback=self.on_queue)

    def on_queue(self, frame):
        self.queue = frame.method.queue
        for number in range(10):
            self.channel.basic_publish("", self.queue, str(number))
        self.tag = self.channel.basic_consume(self.queue, self.on_message)

    def on_message(self, _channel, method, _properties, body):
        self.got.append(body)
        if len(self.got) == 3:
            self.channel.basic_ack(method.delivery_tag - 2)
            self.channel.basic_cancel(self.tag, callback=self.on_cancelled)

    def on_cancelled(self, frame):
        same(frame.method.consumer_tag, self.tag)
        self.channel.basic_recover(requeue=True, callback=self.on_recovered)

    def on_recovered(self, _frame):
        self.channel.queue_delete(self.queue, callback=self.on_deleted)

    def on_deleted(self, frame):
        # One was acknowledged, and perhaps the one that took its place was on its way.
        same(frame.method.message_count, 9)
        self.done()


class Survives(Conversation):
    """An error closes its channel alone, and the channel's number can be used again."""

    def on_channel(self, channel):
        self.number = channel.channel_number
        self.connection.channel(on_open_callback=self.on_bystander)

    def on_bystander(self, channel):
        self.bystander = channel
        self.channel.add_on_close_callback(self.on_closed)
        self.channel.queue_declare("missing", passive=True)

    def on_closed(self, _channel, reason):
        same(
            (reason.reply_code, reason.reply_text),
            (404, "NOT_FOUND - no queue 'missing' in vhost '%s'" % VHOST),
        )
        # Not from within this callback: pika forgets the old channel only after it.
        self.connection.ioloop.add_callback_threadsafe(
            lambda: self.connection.channel(self.number, on_open_callback=self.on_again)
        )

    def on_again(self, _channel):
        self.bystander.queue_declare("", exclusive=True, callback=lambda _frame: self.done())


def check_confirms():
    Confirms()


def check_cancels():
    Cancels()


def check_an_error_closes_one_channel():
    Survives()


if __name__ == "__main__":
    checks.run(sys.modules[__name__])
