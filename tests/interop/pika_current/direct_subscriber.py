"""Lesson 5: prints the messages whose key matches one of the arguments."""
import sys

import pika

connection = pika.BlockingConnection(pika.ConnectionParameters(host="localhost"))
channel = connection.channel()
channel.exchange_declare(exchange="direct_logs", exchange_type="direct")
queue_name = channel.queue_declare(queue="", exclusive=True).method.queue
for key in sys.argv[1:]:
    channel.queue_bind(exchange="direct_logs", queue=queue_name, routing_key=key)
print(" [*] Waiting for logs. To exit press CTRL+C")


def on_message(_channel, method, _properties, body):
    print(" [x] %r:%r" % (method.routing_key, body))


channel.basic_consume(queue=queue_name, on_message_callback=on_message, auto_ack=True)
channel.start_consuming()
