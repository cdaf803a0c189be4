"""A Celery worker that says when it is ready."""
from celery.signals import worker_ready
from tasks import app


@worker_ready.connect
def on_ready(**_):
    print("ready", flush=True)


app.worker_main(
    ["worker", "--pool=threads", "--concurrency=2", "--hostname=interop@localhost", "--loglevel=INFO", "--events"]
)
