"""Lesson 4: prints what is broadcast from now on."""
import pika

connection = pika.BlockingConnection(pika.ConnectionParameters(host="localhost"))
channel = connection.channel()
channel.exchange_declare(exchange="logs", exchange_type="fanout")
queue_name = channel.queue_declare(queue="", exclusive=True).method.queue
print("random queuename:", queue_name)
channel.queue_bind(exchange="logs", queue=queue_name)
print(" [*] Waiting for logs. To exit press CTRL+C")
channel.basic_consume(
    queue=queue_name,
    on_message_callback=lambda _channel, _method, _properties, body: print(" [x] %r" % body),
    auto_ack=True,
)
channel.start_consuming()
