"""Runs every function of a module whose name begins with `check_`, all of them even if some fail."""
import os
import sys
import traceback

import pika

VHOST = os.environ["MQ_TEST_VHOST"]


def parameters(**changes):
    """The address of the broker under test, with a few parameters of its own."""
    found = pika.URLParameters(os.environ["MQ_TEST_URL"])
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def connect(**changes):
    """A new blocking connection."""
    return pika.BlockingConnection(parameters(**changes))


def expect(exception, call, *args, **kwargs):
    """The exception that a call must raise."""
    try:
        call(*args, **kwargs)
    except exception as raised:
        return raised
    raise AssertionError("%s did not raise %s" % (call, exception.__name__))


def refused(call, *args, **kwargs):
    """Code and text with which the broker closes the channel on a call."""
    closed = expect(pika.exceptions.ChannelClosedByBroker, call, *args, **kwargs)
    return closed.reply_code, closed.reply_text


def same(got, wanted):
    """Asserts equality and shows both sides."""
    assert got == wanted, "\n   got: %r\nwanted: %r" % (got, wanted)


def run(module):
    """Runs the checks of a module in the order they are written and ends the process."""
    checks = [(n, f) for n, f in vars(module).items() if n.startswith("check_")]
    failed = 0
    for name, check in checks:
        try:
            check()
        except Exception:
            failed += 1
            print("FAILED", name)
            sys.stderr.write("--- %s\n%s" % (name, traceback.format_exc()))
        else:
            print("ok", name)
    print("%d of %d checks passed" % (len(checks) - failed, len(checks)))
    sys.exit(1 if failed else 0)
