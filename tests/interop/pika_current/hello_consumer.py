"""Lessons 1 and 2: takes messages from `hello`, works on each and acknowledges it."""
import time

import pika


def on_message(channel, method, properties, body):
    print(channel, method, properties)
    print(" [x] Received %r" % body)
    time.sleep(15)
    channel.basic_ack(delivery_tag=method.delivery_tag)


connection = pika.BlockingConnection(pika.ConnectionParameters("localhost"))
channel = connection.channel()
channel.queue_declare(queue="hello")
channel.basic_consume(queue="hello", on_message_callback=on_message)
print(" [*] Waiting for messages. To exit press CTRL+C")
channel.start_consuming()
