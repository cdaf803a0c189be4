"""Lets the seed's programs run in a test without changing a letter of them.

Python imports this file before a program when the folder is on PYTHONPATH. It keeps to what a
program cannot be told from outside:

* the old pika names an attribute `async`, a keyword since Python 3.7, in an adapter nobody uses here, and
  looks for `Callable` where Python kept it until 3.9: an empty adapter and the old name stand in;
* the programs connect to `localhost` port 5672 and the default vhost: both come from the environment;
* the programs pretend to work by sleeping ten or fifteen seconds: that work is done at once, or, where
  MQ_TEST_WORK is `gated`, when the test writes a line to the program's standard input.
"""
import collections
import collections.abc
import os
import socket
import sys
import time
import types

_adapter = types.ModuleType("pika.adapters.libev_connection")
_adapter.LibevConnection = None
sys.modules[_adapter.__name__] = _adapter
collections.Callable = collections.abc.Callable

_getaddrinfo = socket.getaddrinfo


def _resolve(host, port, *args, **kwargs):
    if host == "localhost" and port in (5672, "5672"):
        host, port = "127.0.0.1", int(os.environ["MQ_TEST_PORT"])
    return _getaddrinfo(host, port, *args, **kwargs)


socket.getaddrinfo = _resolve

_sleep = time.sleep


def _work(seconds):
    if seconds < 10:
        _sleep(seconds)
    elif os.environ.get("MQ_TEST_WORK") == "gated":
        sys.stdin.readline()


time.sleep = _work

try:
    import pika.connection
except ImportError:
    pass
else:
    pika.connection.Parameters.DEFAULT_VIRTUAL_HOST = os.environ["MQ_TEST_VHOST"]
