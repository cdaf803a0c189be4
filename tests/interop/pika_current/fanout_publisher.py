"""Lesson 4: one message to everybody who is bound to `logs`."""
import pika

connection = pika.BlockingConnection(pika.ConnectionParameters(host="localhost"))
channel = connection.channel()
channel.exchange_declare(exchange="logs", exchange_type="fanout")
message = "info: Hello World!"
channel.basic_publish(exchange="logs", routing_key="", body=message)
print(" [x] Sent %r" % message)
connection.close()
