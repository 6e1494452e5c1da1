"""Takes the place of the `conftest.py` of py-consul's sdist, which starts Consul in a container: here each test gets a
`trellis up` of its own from the Rust test that runs all this (`TRELLIS_PLATFORMS` is where that listens).

A test that is listed in `exceptions.txt` has to fail, every other one has to pass: neither is skipped.
"""

from __future__ import annotations

import collections
import functools
import json
import os
import pathlib
import socket
import uuid

import pytest

import consul.check

# What the suite writes where it means the server itself, as that sees itself.
SELF = ":8500"
EXCEPTIONS = "TRELLIS_EXCEPTIONS"
# As often as the suite's authors run again what failed (tox.ini): it measures times of some milliseconds.
RERUNS = 3

ConsulInstance = collections.namedtuple("ConsulInstance", ["container", "port", "version"])


def exceptions():
    """Ids of tests, and why each of them fails."""
    found = {}
    reason = None
    for line in pathlib.Path(os.environ[EXCEPTIONS]).read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith("["):
            reason = line.strip("[] ")
        elif reason is None or line in found:
            raise pytest.UsageError(f"{line} stands below no reason, or twice")
        else:
            found[line] = reason
    return found


def pytest_collection_modifyitems(items):
    listed = exceptions()
    for item in items:
        reason = listed.pop(item.nodeid, None)
        if reason is None:
            item.add_marker(pytest.mark.flaky(reruns=RERUNS))
        else:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
    if listed:
        raise pytest.UsageError(f"these exceptions are no tests: {', '.join(listed)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that skips itself says nothing, so it fails unless it is listed."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        if item.get_closest_marker("xfail"):
            report.wasxfail = "it skips itself"
        else:
            report.outcome = "failed"
    return report


@pytest.fixture
def consul_instance(monkeypatch):
    """A platform of its own. It ends when the connection is closed."""
    host, _, port = os.environ["TRELLIS_PLATFORMS"].rpartition(":")
    with socket.create_connection((host, int(port))) as connection, connection.makefile() as lines:
        told = json.loads(lines.readline())
        asked = consul.check.Check.http.__func__

        @functools.wraps(asked)
        def http(cls, url, *rest, **more):
            return asked(cls, url.replace(SELF, f":{told['port']}"), *rest, **more)

        monkeypatch.setattr(consul.check.Check, "http", classmethod(http))
        yield ConsulInstance(None, told["port"], told["version"])


@pytest.fixture
def acl_consul_instance(consul_instance):
    """The same, with a token that would be its master token if it had access control."""
    return consul_instance, uuid.uuid4().hex


@pytest.fixture
def consul_port(consul_instance):
    return consul_instance.port, consul_instance.version
