"""The Celery application that worker and driver share."""
import os

from celery import Celery

app = Celery("interop", broker=os.environ["MQ_TEST_URL"], backend="rpc://")
app.conf.update(
    # A call returns when the broker has the task, so that who asks next sees it.
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=False,
    # The line that says "ready" must reach the test as it is.
    worker_redirect_stdouts=False,
    worker_send_task_events=True,
    result_expires=3600,
    task_acks_late=True,
    worker_prefetch_multiplier=2,
)


@app.task
def add(x, y):
    """The sum."""
    return x + y


@app.task(bind=True, max_retries=3)
def third_time_lucky(self):
    """Fails twice, then tells on which attempt it succeeded."""
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return self.request.retries


@app.task
def fails(text):
    """Raises."""
    raise ValueError(text)


@app.task
def echo(value):
    """Gives back what it got."""
    return value
