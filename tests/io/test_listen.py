#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""isotrace listen: what it files, whom it answers, when it starts the command, and that hostile bytes do not stop it."""

import glob
import os
import random
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from peers import Receiver, by_instance, certificate, free_port, listens, make_objects, pump, same_objects, write_config
from volumes import ISOTRACE, Skip, find, isotrace, run

CONFIG = """aet: LAB
listen:
  port: {port}
  address: 127.0.0.1
  folder: in
  quiet_s: {quiet}
  peers:
    - {{aet: SCANNER, host: 127.0.0.1}}
    - {{aet: ELSEWHERE, host: 127.0.0.9}}
{more}
"""
STUDY = "1.2.826.0.1.3680043.8.498.1"


class Listener(Receiver):
    def __init__(self, folder, more="", quiet=0.5):
        self.port, self.folder = free_port(), folder
        config = write_config(folder + "/pacs.yaml", CONFIG, port=self.port, quiet=quiet, more=more)
        super().__init__(ISOTRACE, "listen", "--config", config, ready=lambda: listens(self.port), log=folder + "/listen.log")

    def said(self):
        with open(self.folder + "/listen.log", errors="replace") as f:
            return f.read()

    def wait_for(self, text, times=1, seconds=30):
        until = time.monotonic() + seconds
        while self.said().count(text) < times:
            assert time.monotonic() < until, f"no '{text}' in: {self.said()}"
            assert self.process.poll() is None, "the listener is gone"
            time.sleep(0.05)

    def send(self, path, *options, title="SCANNER", called="LAB", code=0):
        return isotrace("send", path, "--pacs", f"{called}@127.0.0.1:{self.port}", "--own-aet", title, "--retries", "0", "-q",
                        *options, code=code)

    def echo(self):
        tool = find("echoscu")
        if not tool:
            raise Skip("no echoscu")
        subprocess.run([tool, "-aet", "SCANNER", "-aec", "LAB", "127.0.0.1", str(self.port)], check=True, timeout=30)


def received(folder):
    return by_instance(glob.glob(folder + "/in/*/*/*.dcm"))


def test_study(folder):
    """Objects are filed by study; the command starts when all modalities are there and all is quiet, once"""
    ct = by_instance(make_objects(folder + "/ct", 3))
    pt = by_instance(make_objects(folder + "/pt", 2, series=2, modality="PT", sop_class="1.2.840.10008.5.1.4.1.1.128"))
    command = ("  needs: [CT, PT]\n  command: [sh, -c, 'echo done: $0 $ISOTRACE_STUDY_UID; ls -R \"$0\" | grep -c dcm; "
               f"echo run >> {folder}/ran', '{{folder}}']\n")
    with Listener(folder, command) as listener:
        listener.echo()
        listener.send(folder + "/ct")
        listener.wait_for("waits for a series of modality PT")
        assert not os.path.exists(folder + "/ran")
        listener.send(folder + "/pt")
        listener.wait_for("the command is done")
        listener.wait_for("complete, 5 objects")
        same_objects({**ct, **pt}, received(folder))
        place = f"{folder}/in/{STUDY}"
        assert sorted(os.listdir(place)) == [".command.log", ".reported", f"CT_{STUDY}.1", f"PT_{STUDY}.2"], os.listdir(place)
        with open(place + "/.command.log") as f:
            assert f.read() == f"done: {folder}/in/{STUDY} {STUDY}\n5\n"
    with Listener(folder, command) as listener:  # what was reported is not reported again ...
        time.sleep(1.2)
        with open(folder + "/ran") as f:
            assert f.read() == "run\n"
        make_objects(folder + "/ct", 4)  # ... but it is when more has come
        listener.send(folder + "/ct")
        listener.wait_for("complete, 6 objects")
        listener.wait_for("the command is done", times=2)
        listener.process.terminate()
        assert listener.process.wait(20) == 0
    assert not glob.glob(folder + "/in/.part*")


def test_killed(folder):
    """A receiver that is killed before a study is complete reports it after its next start"""
    make_objects(folder + "/ct", 2)
    with Listener(folder, quiet=60) as listener:
        listener.send(folder + "/ct")
        listener.process.kill()
        listener.process.wait()
    with Listener(folder) as listener:
        listener.wait_for("complete, 2 objects")


def test_strangers(folder):
    """Only titles and hosts that the configuration names are answered"""
    make_objects(folder + "/ct", 1)
    with Listener(folder) as listener:
        for title, called in (("STRANGER", "LAB"), ("ELSEWHERE", "LAB"), ("SCANNER", "OTHER")):
            _, err = listener.send(folder + "/ct", title=title, called=called, code=5)
            assert "refuses the association" in err, err
        assert not received(folder)
        listener.wait_for("STRANGER calls LAB: refused")
        listener.wait_for("SCANNER calls OTHER: refused")
        listener.send(folder + "/ct")
        assert len(received(folder)) == 1
    with Listener(folder, quiet=0.5, more="  tls: {certificate: none.pem, key: none.key}") as listener:
        listener.send(folder + "/ct", code=5)
        listener.wait_for("none.key")
    with open(folder + "/pacs.yaml", "w") as f:
        f.write(f"listen: {{port: {free_port()}, folder: in, peers: [{{aet: A, host: 127.0.0.9}}]}}\n")
    with Receiver(ISOTRACE, "listen", "--config", folder + "/pacs.yaml", ready=lambda: True, log=folder + "/other.log"):
        pass
    with open(folder + "/pacs.yaml", "w") as f:
        f.write(f"listen: {{port: {free_port()}, folder: in}}\n")
    _, err = isotrace("listen", "--config", folder + "/pacs.yaml", code=3)
    assert "nobody may speak" in err, err


def test_limits(folder):
    """An object that is too large, and more objects than a study may have, are refused; the rest is kept"""
    make_objects(folder + "/small", 3)
    make_objects(folder + "/large", 1, series=2, pixels=512)  # 0.5 MiB
    with Listener(folder, "  max_object_mb: 0.3\n  max_objects_per_study: 2\n  timeout_s: 5\n") as listener:
        listener.send(folder + "/large", code=5)
        listener.wait_for("max_object_mb")
        _, err = listener.send(folder + "/small", code=4)
        assert "1 of 3" in err and "a700" in err, err
        listener.wait_for("max_objects_per_study")
        listener.send(folder + "/small/001-00001.dcm")  # one that is there may come again
        assert len(received(folder)) == 2 and not glob.glob(folder + "/in/.part*")


def recorded(listener, path):
    """The bytes of a sender's side of a whole conversation."""
    said = bytearray()

    class Tap:
        def __init__(self, target):
            self.target = target

        def sendall(self, piece):
            said.extend(piece)
            self.target.sendall(piece)

        def shutdown(self, how):
            self.target.shutdown(how)
    with socket.create_server(("127.0.0.1", 0)) as server:
        def relay():
            with server.accept()[0] as ours, socket.create_connection(("127.0.0.1", listener.port)) as theirs:
                back = threading.Thread(target=pump, args=(theirs, ours), daemon=True)
                back.start()
                pump(ours, Tap(theirs))
                back.join()
        thread = threading.Thread(target=relay, daemon=True)
        thread.start()
        isotrace("send", path, "--pacs", f"LAB@127.0.0.1:{server.getsockname()[1]}", "--own-aet", "SCANNER", "-q")
        thread.join(20)
    return bytes(said)


def test_hostile(folder):
    """Random bytes, and real conversations with bytes changed, cut and repeated, do not stop it or break a process"""
    files = make_objects(folder + "/ct", 1)
    with Listener(folder, "  timeout_s: 3\n  max_associations: 100\n") as listener:
        said = recorded(listener, folder + "/ct")
        assert len(said) > 1000 and len(received(folder)) == 1
        draw = random.Random(5)
        attacks = [b"", b"\1", draw.randbytes(5000), b"GET / HTTP/1.1\r\n\r\n", b"\1\0\xff\xff\xff\xff" + bytes(3000),
                   said[:400], said[:-20], said[200:], said + said, b"\x16\3\1\2\0\1\0\1\xfc\3\3" + draw.randbytes(500)]
        for _ in range(60):
            bad = bytearray(said)
            for _ in range(draw.choice((1, 3, 10))):
                # mostly in the association, where lengths and identities are
                at = draw.randrange(300) if draw.random() < 0.5 else draw.randrange(len(bad))
                bad[at] = draw.choice((0, 255, 127, 128, draw.randrange(256)))
            attacks.append(bytes(bad))
        for attack in attacks:
            with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as s:
                try:
                    s.sendall(attack)
                    s.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # hung up first
        held = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(5)]  # who says nothing at all
        listener.send(files[0])
        for s in held:
            s.close()
        listener.echo()
        assert listener.process.poll() is None
        time.sleep(1.5)
        ended = [line for line in listener.said().splitlines() if "ended by signal" in line and "stood still" not in line]
        assert not ended, ended
    # whatever got through is an object with the identities that its place says
    for path in glob.glob(folder + "/in/*/*/*.dcm"):
        assert list(by_instance([path])) == [os.path.basename(path)[:-4]], path


TLS = """receivers:
  - {{name: lab, aet: LAB, host: 127.0.0.1, port: {port}, own_aet: SCANNER, retries: 0, tls: {{ca: pacs.pem{more}}}}}
"""


def test_tls(folder):
    """It speaks TLS, and with `ca` it wants a certificate of the other side"""
    make_objects(folder + "/ct", 1)
    certificate(folder, "pacs", "IP:127.0.0.1")
    certificate(folder, "scanner", "DNS:scanner")
    with Listener(folder, "  tls: {certificate: pacs.pem, key: pacs.key, ca: scanner.pem}\n") as listener:
        def send(more, code):
            config = write_config(folder + "/send.yaml", TLS, port=listener.port, more=more)
            isotrace("send", folder + "/ct", "--config", config, "--pacs", "lab", "-q", code=code)
        send("", 5)
        send(", certificate: pacs.pem, key: pacs.key", 5)
        assert not received(folder)
        send(", certificate: scanner.pem, key: scanner.key", 0)
        assert len(received(folder)) == 1


run([test_study, test_killed, test_strangers, test_limits, test_hostile, test_tls], modules=("pydicom",))
