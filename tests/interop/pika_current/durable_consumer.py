"""Lessons 2 and 3: a worker on a durable queue that takes one message at a time."""
import time

import pika


def on_message(channel, method, properties, body):
    print(" [x] Received %r" % body)
    time.sleep(10)
    channel.basic_ack(delivery_tag=method.delivery_tag)


connection = pika.BlockingConnection(pika.ConnectionParameters("localhost"))
channel = connection.channel()
channel.queue_declare(queue="hello2", durable=True)
channel.basic_qos(prefetch_count=1)
channel.basic_consume(queue="hello2", on_message_callback=on_message)
print(" [*] Waiting for messages. To exit press CTRL+C")
channel.start_consuming()
