"""Lesson 7: asks for fib(7) and waits for the answer in a queue of its own."""
import uuid

import pika


class FibonacciRpcClient:
    """One connection, one reply queue, one call at a time."""

    def __init__(self):
        self.connection = pika.BlockingConnection(pika.ConnectionParameters(host="localhost"))
        self.channel = self.connection.channel()
        self.callback_queue = self.channel.queue_declare(queue="", exclusive=True).method.queue
        self.channel.basic_consume(
            queue=self.callback_queue, on_message_callback=self.on_response, auto_ack=True
        )

    def on_response(self, _channel, _method, properties, body):
        """Keeps the reply that belongs to the call."""
        if self.correlation_id == properties.correlation_id:
            self.response = body

    def call(self, n):
        """Returns the server's answer to `n`."""
        self.response = None
        self.correlation_id = str(uuid.uuid4())
        self.channel.basic_publish(
            exchange="",
            routing_key="rpc_queue",
            properties=pika.BasicProperties(
                reply_to=self.callback_queue, correlation_id=self.correlation_id
            ),
            body=str(n),
        )
        while self.response is None:
            self.connection.process_data_events(time_limit=None)
        return int(self.response)


client = FibonacciRpcClient()
print(" [x] Requesting fib(7)")
print(" [.] Got %r" % client.call(7))
client.connection.close()
