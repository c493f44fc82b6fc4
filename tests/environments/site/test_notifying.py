"""What a service manager hears."""

import socket

from environments.site.notifying import Supervisor


def test_a_service_manager_hears_that_the_host_is_up_lives_and_ends(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        told = Supervisor({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "120000000"})
        assert told.alive_every_s == 60
        told.ready("all well")
        told.alive("all well")
        told.stopping()
        heard = [manager.recv(200) for _ in range(3)]
    assert heard == [b"READY=1\nSTATUS=all well", b"WATCHDOG=1\nSTATUS=all well", b"STOPPING=1"]


def test_without_a_service_manager_nothing_is_told():
    told = Supervisor({})
    told.ready("all well")
    assert told.alive_every_s == 0
