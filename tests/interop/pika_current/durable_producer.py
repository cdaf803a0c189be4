"""Lesson 3: a persistent message to a durable queue."""
import pika

connection = pika.BlockingConnection(pika.ConnectionParameters("localhost"))
channel = connection.channel()
channel.queue_declare(queue="hello2", durable=True)
channel.basic_publish(
    exchange="",
    routing_key="hello2",
    body="Hello World!",
    properties=pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent),
)
print(" [x] Sent 'Hello World!'")
connection.close()
