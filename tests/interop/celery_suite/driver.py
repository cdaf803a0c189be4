"""Gives the worker something to do and checks what comes back, then sends it home."""
import sys
import uuid

from celery import chain, group
from celery.exceptions import TaskRevokedError
from tasks import add, app, echo, fails, third_time_lucky

WORKER = "interop@localhost"
WAIT = 60


def same(got, wanted):
    """Asserts equality and shows both sides."""
    assert got == wanted, "\n   got: %r\nwanted: %r" % (got, wanted)


def check_result():
    same(add.delay(2, 3).get(timeout=WAIT), 5)


def check_group():
    jobs = group(add.s(number, number) for number in range(50))()
    same(jobs.get(timeout=WAIT), [2 * number for number in range(50)])


def check_chain():
    same(chain(add.s(1, 2), add.s(3), add.s(4))().get(timeout=WAIT), 10)


def check_retry():
    same(third_time_lucky.delay().get(timeout=WAIT), 2)


def check_failure():
    try:
        fails.delay("on purpose").get(timeout=WAIT)
    except ValueError as error:
        same(str(error), "on purpose")
    else:
        raise AssertionError("the task's exception did not arrive")


def check_countdown():
    same(echo.apply_async(("later",), countdown=1).get(timeout=WAIT), "later")


def check_large_argument():
    value = "x" * 500_000
    same(echo.delay(value).get(timeout=WAIT), value)


def check_ping():
    same(app.control.ping(destination=[WORKER], timeout=WAIT), [{WORKER: {"ok": "pong"}}])


def check_inspect():
    inspect = app.control.inspect(destination=[WORKER], timeout=WAIT)
    registered = inspect.registered()[WORKER]
    assert "tasks.add" in registered, registered
    (queue,) = inspect.active_queues()[WORKER]
    same((queue["name"], queue["exchange"]["type"]), ("celery", "direct"))
    broker = inspect.stats()[WORKER]["broker"]
    same(broker["transport"], "amqp")


def check_revoke():
    task_id = str(uuid.uuid4())
    told = app.control.revoke(task_id, destination=[WORKER], reply=True, timeout=WAIT)
    same(list(told[0]), [WORKER])
    result = add.apply_async((1, 1), task_id=task_id)
    try:
        result.get(timeout=WAIT)
    except TaskRevokedError:
        pass
    else:
        raise AssertionError("a revoked task was run")


def check_purge():
    # The worker agrees first and cancels its consumer soon after.
    told = app.control.cancel_consumer("celery", destination=[WORKER], reply=True, timeout=WAIT)
    same(list(told[0][WORKER]), ["ok"])
    inspect = app.control.inspect(destination=[WORKER], timeout=WAIT)
    while inspect.active_queues()[WORKER]:
        pass
    for _ in range(3):
        add.delay(1, 1)
    same(app.control.purge(), 3)


def check_shutdown():
    app.control.shutdown(destination=[WORKER])


def main():
    checks = [(n, f) for n, f in globals().items() if n.startswith("check_")]
    passed = 0
    for name, check in checks:
        check()
        passed += 1
        print("ok", name)
    print("%d of %d checks passed" % (passed, len(checks)))


if __name__ == "__main__":
    sys.exit(main())
