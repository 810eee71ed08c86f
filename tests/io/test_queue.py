#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue of isotrace send: nothing is lost and nothing is sent twice, whoever dies. $ISOTRACE_QUEUE_OBJECTS objects (60 unless set; 30 under the sanitizers) for
the killings; scripts/validate takes 1,000."""

import glob
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from mini_scp import MiniScp
from peers import Orthanc, by_instance, free_port, make_objects, same_objects, storescp, write_config
from volumes import ISOTRACE, isotrace, run

OBJECTS = int(os.environ.get("ISOTRACE_QUEUE_OBJECTS", "30" if "ISO_SANITIZED" in os.environ else "60"))


def status(queue):
    out, _ = isotrace("send", "--queue", queue, "--status", "--json")
    return {one["receiver"]: one for one in json.loads(out)}


def test_killed(folder):
    """Killed ten times while sending: all there at the end, none stored twice"""
    sent = by_instance(make_objects(folder + "/in", OBJECTS))
    # Orthanc tells of every store, also of one that replaces.
    with open(folder + "/count.lua", "w") as f:
        f.write("function OnStoredInstance(id, tags, metadata, origin)\n  print('STORED ' .. tags['SOPInstanceUID'])\nend\n")
    with Orthanc(folder, LuaScripts=[folder + "/count.lua"]) as orthanc:
        queue = folder + "/queue"
        send = ["send", "--queue", queue, "--pacs", orthanc.address, "-q"]
        isotrace(*send, "--later", folder + "/in")
        there = 0
        for kill in range(1, 11):
            process = subprocess.Popen([ISOTRACE, *send], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            until = time.monotonic() + 60
            # all ten in the first half, so that the killing is never too late
            while there < kill * OBJECTS // 20 and process.poll() is None and time.monotonic() < until:
                time.sleep(0.002)
                there = orthanc.instances()
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL, "it was done before it could be killed"
        assert there < OBJECTS
        isotrace(*send)
        (one,) = status(queue).values()
        assert (one["waiting"], one["sent"], one["refused"]) == (0, OBJECTS, 0), one
        same_objects(sent, by_instance(orthanc.files(folder + "/back")))
        assert not os.listdir(queue + "/objects"), "copies of what was sent are left"
        out, _ = isotrace("send", "--queue", queue, "--pacs", orthanc.address, "--json", folder + "/in")
        assert json.loads(out) == {"stored": 0, "failed": 0, "known": OBJECTS}, out
    with open(folder + "/orthanc.log", errors="replace") as f:
        stored = re.findall(r"STORED ([0-9.]+)", f.read())
    assert len(set(stored)) == OBJECTS
    assert len(stored) == OBJECTS, f"{len(stored) - OBJECTS} were stored twice"


def test_dead_pacs(folder):
    """A PACS that is not there: everything waits, for days if need be; the files may go meanwhile"""
    files = make_objects(folder + "/in", 3)
    sent = by_instance(files)
    queue, port = folder + "/queue", free_port()
    pacs = f"TESTSCP@127.0.0.1:{port}"
    _, err = isotrace("send", folder + "/in", "--queue", queue, "--pacs", pacs, "--retries", "1", code=5)
    assert "trying again in 1 s" in err and "no association" in err, err
    out, _ = isotrace("send", folder + "/in", "--queue", queue, "--pacs", pacs, "--later")
    assert out.startswith("0 files"), out
    for path in files:
        os.remove(path)
    (one,) = status(queue).values()
    assert one["receiver"] == pacs and (one["waiting"], one["sent"]) == (3, 0), one
    _, err = isotrace("send", "--queue", queue, "--retries", "0", code=5)  # to whomever it belongs
    assert str(port) in err, err
    out, _ = isotrace("send", "--queue", queue, "--status")
    assert "3 waiting since 20" in out, out
    os.mkdir(folder + "/other")
    port, receiver = storescp(folder, "-pm")
    with receiver:
        # the same name in a configuration file that has got the new port
        config = write_config(folder + "/pacs.yaml", "queue: queue\nreceivers:\n  - {{name: lab, aet: TESTSCP, host: 127.0.0.1, "
                              "port: {port}}}\n", port=port)
        make_objects(folder + "/more", 2, series=2)
        out, _ = isotrace("send", folder + "/more", "--config", config, "--pacs", "lab", "--json")
        assert json.loads(out)["stored"] == 2, out
        assert status(queue)[pacs]["waiting"] == 3 and status(queue)["lab"]["sent"] == 2
        out, _ = isotrace("send", "--config", config, "--pacs", "lab")
        assert "0 of 0" in out, out
    received = by_instance(glob.glob(folder + "/received/*"))
    assert len(received) == 2 and not set(received) & set(sent)


def test_comes_back(folder):
    """A PACS that comes back while isotrace tries again gets everything"""
    sent = by_instance(make_objects(folder + "/in", 3))
    port, receiver = storescp(folder, "-pm")
    process = None
    receiver.command = receiver.process.args
    receiver.process.kill()  # not yet
    receiver.process.wait()
    try:
        process = subprocess.Popen([ISOTRACE, "send", folder + "/in", "--pacs", f"TESTSCP@127.0.0.1:{port}"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert b"trying again" in process.stderr.readline()
        receiver.process = subprocess.Popen(receiver.command, stdout=receiver.log, stderr=receiver.log)
        with receiver:
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0 and b"3 of 3" in out, err
            assert by_instance(glob.glob(folder + "/received/*")) == sent
    finally:
        if process:
            process.kill()
            process.wait()


def test_one_sender(folder):
    """Two do not send from one queue; a killed sender's lock is gone with it"""
    make_objects(folder + "/in", 1)
    queue, port = folder + "/queue", free_port()
    pacs = ["--queue", queue, "--pacs", f"NOBODY@127.0.0.1:{port}"]
    process = subprocess.Popen([ISOTRACE, "send", folder + "/in", *pacs, "--retries", "9"], stderr=subprocess.PIPE)
    try:
        process.stderr.readline()  # "trying again"
        _, err = isotrace("send", *pacs, code=5)
        assert "another isotrace" in err, err
        isotrace("send", folder + "/in", *pacs, "--later")  # adding is possible meanwhile
    finally:
        process.kill()
        process.communicate()
    _, err = isotrace("send", *pacs, "--retries", "0", code=5)
    assert "no association" in err, err


def test_refused(folder):
    """What the receiver does not take is kept apart with the reason; other bytes under the same identity are sent"""
    make_objects(folder + "/in", 1)
    make_objects(folder + "/odd", 1, series=9, sop_class="1.2.840.10008.5.1.4.1.1.9999")
    queue = folder + "/queue"
    port, receiver = storescp(folder, "+uf")  # a new file for each store
    with receiver:
        to = ["--queue", queue, "--pacs", f"TESTSCP@127.0.0.1:{port}"]
        isotrace("send", folder + "/in", *to)
        _, err = isotrace("send", folder + "/odd", *to, "--retries", "0", code=5)
        (one,) = status(queue).values()
        assert (one["waiting"], one["sent"], one["refused"]) in ((0, 1, 1), (1, 1, 0)), (one, err)
        make_objects(folder + "/in", 1, pixels=10)
        isotrace("send", folder + "/in", *to, "--retries", "0")
        assert len(glob.glob(folder + "/received/*")) == 2
    os.mkdir(folder + "/none")
    _, err = isotrace("send", folder + "/none", *to, "--retries", "0", code=3)
    assert "no DICOM" in err, err


MINI = """queue: queue
receivers:
  - {{name: mini, aet: MINI, host: 127.0.0.1, port: {port}, retries: 2, commitment: {commitment}, commitment_wait_s: {wait}}}
"""


def test_trouble(folder):
    """A full receiver is asked again; one that hangs up after it has stored, and cannot be asked, gets that object again"""
    make_objects(folder + "/in", 4)
    with MiniScp([0, 0xa700, 0xb000, "drop"]) as scp:
        config = write_config(folder + "/pacs.yaml", MINI, port=scp.port, commitment="false", wait=0)
        out, err = isotrace("send", folder + "/in", "--config", config, "--pacs", "mini", "--json")
        assert json.loads(out) == {"stored": 4, "failed": 0, "known": 0}, out
        assert "status a700" in err and err.count("trying again in 1 s") == 2, err
        (one,) = status(folder + "/queue").values()
        assert (one["waiting"], one["sent"], one["refused"]) == (0, 4, 0), one
        # the second was taken with a warning at the second try, the third was stored before the connection broke
        uids = sorted(by_instance(glob.glob(folder + "/in/*")))
        assert scp.stored == [uids[0], uids[2], uids[2], uids[3]], scp.stored
        scp.statuses = [0xc000]
        make_objects(folder + "/more", 2, series=2)
        _, err = isotrace("send", folder + "/more", "--config", config, "--pacs", "mini", code=4)
        assert "status c000" in err and "1 of 2" in err, err
        (one,) = status(folder + "/queue").values()
        assert (one["waiting"], one["sent"], one["refused"]) == (0, 5, 1), one
        isotrace("send", "--config", config)
        assert len(scp.stored) == 5, "what was refused is not sent again by itself"
        isotrace("send", folder + "/more", "--config", config, "--pacs", "mini")
        assert len(scp.stored) == 6 and status(folder + "/queue")["mini"]["refused"] == 0


def test_commitment(folder):
    """Storage commitment that is answered on the association that asks; what the receiver forgot is sent again"""
    make_objects(folder + "/in", 3)
    uids = sorted(by_instance(glob.glob(folder + "/in/*")))
    with MiniScp() as scp:
        config = write_config(folder + "/pacs.yaml", MINI, port=scp.port, commitment="true", wait=20)
        scp.forgotten = {uids[1]}
        _, err = isotrace("send", folder + "/in", "--config", config, "--pacs", "mini", code=4)
        assert "1 were refused it" in err, err
        commitment = status(folder + "/queue")["mini"]["commitment"]
        assert commitment == {"asked": 0, "committed": 2, "not_committed": 1}, commitment
        assert len(os.listdir(folder + "/queue/objects")) == 1
        scp.forgotten = set()
        isotrace("send", "--config", config)
        assert scp.stored == uids + uids[1:2], scp.stored
        first, second = ({str(one.ReferencedSOPInstanceUID) for one in request.ReferencedSOPSequence} for request in scp.requests)
        assert first == set(uids) and second == {uids[1]}
        assert status(folder + "/queue")["mini"]["commitment"]["committed"] == 3
        assert not os.listdir(folder + "/queue/objects")


def test_full_disk(folder):
    """A queue that cannot be written: exit code 5, nothing added, and the next time all is well"""
    make_objects(folder + "/in", 40, pixels=64)
    add = ["send", folder + "/in", "--queue", folder + "/queue", "--pacs", "A@127.0.0.1:1", "--later", "-q"]
    for limit in (0, 2000, 20000):  # nothing at all; no object; not the database
        done = subprocess.run([ISOTRACE, *add], stderr=subprocess.PIPE,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        assert done.returncode == 5 and b"queue" in done.stderr, (limit, done.stderr)
    isotrace(*add)
    assert status(folder + "/queue")["A@127.0.0.1:1"]["waiting"] == 40
    assert not glob.glob(folder + "/queue/objects/.part*")


def test_damaged(folder):
    """A queue that is none, or is damaged, is said to be so"""
    os.mkdir(folder + "/queue")
    make_objects(folder + "/in", 1)
    with open(folder + "/queue/queue.sqlite", "w") as f:
        f.write("this is no database, " * 100)
    _, err = isotrace("send", folder + "/in", "--queue", folder + "/queue", "--pacs", "A@127.0.0.1:1", code=5)
    assert "queue.sqlite" in err, err
    out, _ = isotrace("send", "--queue", folder + "/none", "--status")
    assert "empty" in out and not os.path.exists(folder + "/none"), out


run([test_killed, test_dead_pacs, test_comes_back, test_one_sender, test_refused, test_trouble, test_commitment, test_full_disk,
     test_damaged], modules=("pydicom",))
