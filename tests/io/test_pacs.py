#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""isotrace send and fetch against a real Orthanc, DCMTK's storescp and dcmqrscp: TLS, storage commitment, DICOMweb, and that what comes back is
what was sent, pixel by pixel and value by value."""

import contextlib
import glob
import http.server
import json
import os
import shutil
import socket
import sys
import threading
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from peers import (Orthanc, Receiver, TlsFront, by_instance, certificate, free_port, listens, make_objects, make_series, pump, same_objects,
                   write_config)
import gated
from volumes import ISOTRACE, START, Skip, find, isotrace, run, spect


def fetched(folder):
    return by_instance(glob.glob(folder + "/*/*.dcm"))


CONFIG = """queue: queue
receivers:
  - name: lab
    aet: ORTHANC
    host: 127.0.0.1
    port: {port}
    retries: 0
    commitment: true
    commitment_wait_s: 20
listen: {{port: {callback}, address: 127.0.0.1, folder: arrived, quiet_s: 1}}
"""


def test_commitment(folder):
    """Orthanc commits itself on an association of its own; what it has lost is sent again"""
    make_objects(folder + "/in", 5)
    with Orthanc(folder, callback=free_port()) as orthanc:
        config = write_config(folder + "/pacs.yaml", CONFIG, port=orthanc.dicom, callback=orthanc.callback)
        send = ["send", "--config", config, "--pacs", "lab"]

        def status():
            out, _ = isotrace("send", "--config", config, "--status", "--json")
            return json.loads(out)[0]
        isotrace(*send, folder + "/in")
        assert status()["commitment"] == {"asked": 0, "committed": 5, "not_committed": 0}, status()
        assert not os.listdir(folder + "/queue/objects")
        # Objects that are gone before the question: the PACS says no, and that is not the end of them.
        make_objects(folder + "/more", 4, series=2)
        with open(config) as f:
            text = f.read()
        with open(config, "w") as f:
            # nobody is where Orthanc calls
            f.write(text.replace("commitment_wait_s: 20", "commitment_wait_s: 0").replace(f"port: {orthanc.callback}",
                                                                                          f"port: {free_port()}"))
        _, err = isotrace(*send, folder + "/more", code=4)
        assert "4 have no storage commitment yet" in err, err
        assert len(os.listdir(folder + "/queue/objects")) == 4, "copies must stay until the PACS has committed itself"
        series = json.loads(orthanc.get("/series"))
        small = [s for s in series if json.loads(orthanc.get("/series/" + s))["MainDicomTags"]["SeriesNumber"] == "2"]
        request = urllib.request.Request(f"http://127.0.0.1:{orthanc.http}/series/{small[0]}", method="DELETE")
        urllib.request.urlopen(request, timeout=20).close()
        with open(config, "w") as f:
            f.write(text)
        _, err = isotrace(*send, code=4)
        assert "4 were refused it" in err, err
        assert status()["waiting"] == 4 and status()["commitment"]["not_committed"] == 4, status()
        isotrace(*send)
        assert status()["commitment"]["committed"] == 9 and orthanc.instances() == 9, status()
        # where isotrace listen has the port, it takes the answer
        make_objects(folder + "/last", 2, series=3)
        with Receiver(ISOTRACE, "listen", "--config", config, ready=lambda: listens(orthanc.callback),
                      log=folder + "/listen.log"):
            isotrace(*send, folder + "/last")
            assert status()["commitment"]["committed"] == 11, status()
        with open(folder + "/listen.log") as f:
            assert "2 objects committed, 0 not" in f.read()


TLS = """queue: queue
receivers:
  - name: lab
    aet: ORTHANC
    host: {host}
    port: {port}
    retries: 0
    tls: {{ca: {ca}{more}}}
"""


def test_tls(folder):
    """TLS: the right certificate is taken; another one, another name, none, and plain DICOM are not"""
    sent = by_instance(make_objects(folder + "/in", 3))
    certificate(folder, "pacs", "IP:127.0.0.1")
    certificate(folder, "named", "DNS:pacs.example.org")
    certificate(folder, "own", "DNS:isotrace")

    def secure(name, required):
        return {"DicomTlsEnabled": True, "DicomTlsCertificate": f"{folder}/{name}.pem",
                "DicomTlsPrivateKey": f"{folder}/{name}.key", "DicomTlsTrustedCertificates": folder + "/own.pem",
                "DicomTlsRemoteCertificateRequired": required}

    def send(code, **values):
        given = dict(host="127.0.0.1", ca="pacs.pem", more="")
        given.update(values)
        config = write_config(folder + "/pacs.yaml", TLS, **given)
        return isotrace("send", folder + "/in", "--config", config, "--pacs", "lab", "-q", code=code)[1]
    with Orthanc(folder, **secure("pacs", False)) as orthanc:
        err = send(5, port=orthanc.dicom, ca="named.pem")
        assert "certificate" in err, err
        isotrace("send", folder + "/in", "--pacs", orthanc.address, "--retries", "0", "-q", code=5)
        send(5, port=orthanc.dicom, more=", name: other.example.org")
        assert orthanc.instances() == 0
        send(0, port=orthanc.dicom)
        same_objects(sent, by_instance(orthanc.files(folder + "/back")))
    shutil.rmtree(folder + "/db")
    shutil.rmtree(folder + "/queue")
    with Orthanc(folder, **secure("named", True)) as orthanc:
        send(5, port=orthanc.dicom, ca="named.pem", more=", certificate: own.pem, key: own.key")
        send(5, port=orthanc.dicom, ca="named.pem", more=", name: pacs.example.org")  # it wants ours
        err = send(3, port=orthanc.dicom, ca="none.pem")
        assert "none.pem" in err, err
        assert orthanc.instances() == 0
        send(0, port=orthanc.dicom, ca="named.pem", more=", name: pacs.example.org, certificate: own.pem, key: own.key")
        assert orthanc.instances() == 3


WEB = """queue: queue
receivers:
  - name: web
    retries: {retries}
    dicomweb: {{url: '{url}'{more}}}
"""


def test_web(folder):
    """STOW-RS and WADO-RS over HTTPS with a user: a series comes back as it went"""
    sent = by_instance(make_series(folder))
    certificate(folder, "pacs", "IP:127.0.0.1")
    with open(folder + "/password", "w") as f:
        f.write("hush\n")
    os.chmod(folder + "/password", 0o600)
    orthanc = Orthanc(folder, web=True, AuthenticationEnabled=True, RegisteredUsers={"me": "hush"})
    orthanc.user = "me:hush"
    with orthanc, TlsFront(orthanc.http, folder + "/pacs.pem", folder + "/pacs.key") as front:
        url = f"https://127.0.0.1:{front.port}/dicom-web"

        def call(*arguments, code=0, more=", ca: pacs.pem, user: me, password_file: password"):
            config = write_config(folder + "/pacs.yaml", WEB, url=url, more=more, retries=0)
            return isotrace(*arguments, "--config", config, "--pacs", "web", code=code)
        _, err = call("send", folder + "/out", code=5, more=", user: me, password_file: password")
        assert "certificate" in err, err
        _, err = call("send", folder + "/out", code=5, more=", ca: pacs.pem")
        assert "does not let us in" in err, err
        assert orthanc.instances() == 0
        out, _ = call("send", folder + "/out", "--json")
        assert json.loads(out)["stored"] == 6, out
        same_objects(sent, by_instance(orthanc.files(folder + "/there")))
        out, _ = call("fetch", "--patient-id", "M01", "--modality", "PT", "-o", folder + "/back", "--json")
        assert json.loads(out) == {"series": 1, "objects": 6}, out
        same_objects(sent, fetched(folder + "/back"))
        _, err = call("fetch", "--patient-id", "M02", "-o", folder + "/none", code=3)
        assert "no series" in err and not os.path.exists(folder + "/none"), err


class Stub(http.server.BaseHTTPRequestHandler):
    """A DICOMweb service that fails in all the ways that a test asks for."""
    replies, requests, pages = [], [], {}

    def do_GET(self):
        kind, text = Stub.pages[self.path.split("?")[0]]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Stub.requests.append((dict(self.headers), body))
        status, text = Stub.replies.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def stub():
    """The port of a server that answers as Stub is told."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Stub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def stow_answer(sequence, uid):
    """What a server says of an instance that it stored (00081199) or did not (00081198)."""
    return json.dumps({sequence: {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": [uid]},
                                                          "00081197": {"vr": "US", "Value": [0x0110]}}]}}).encode()


def test_web_failures(folder):
    """A busy server is asked again, a refusal is kept apart, a token is sent and never shown"""
    (path,) = make_objects(folder + "/in", 1)
    (uid,) = by_instance([path])
    with open(folder + "/token", "w") as f:
        f.write("hush.token\n")
    os.chmod(folder + "/token", 0o640)
    with stub() as port:
        config = write_config(folder + "/pacs.yaml", WEB, url=f"http://127.0.0.1:{port}/dw/", retries=1,
                              more=", token_file: token")
        send = ["send", "--config", config, "--pacs", "web"]

        Stub.replies = [(503, b"busy"), (302, b"")]
        _, err = isotrace(*send, folder + "/in", code=5)
        assert "503" in err and "hush" not in err, err
        Stub.replies = [(409, stow_answer("00081198", uid))]
        _, err = isotrace(*send, code=5)
        assert "0110" in err, err
        Stub.replies = [(200, b"<html>hello</html>")] * 2
        isotrace(*send, folder + "/in", code=5)
        Stub.replies = [(200, stow_answer("00081199", uid))]
        isotrace(*send)
        with open(path, "rb") as f:
            whole = f.read()
        assert len(Stub.requests) == 6 and not Stub.replies
        for headers, body in Stub.requests:
            assert headers["Authorization"] == "Bearer hush.token"
            boundary = headers["Content-Type"].split("boundary=")[1]
            assert body.startswith(b"--" + boundary.encode()) and whole in body
        with open(folder + "/queue/queue.sqlite", "rb") as f:
            assert b"hush" not in f.read()


def test_web_doubt(folder):
    """A server that stored an object, and could not say so, is asked for it: it gets it once"""
    (path,) = make_objects(folder + "/in", 1)
    (made,) = by_instance([path]).values()
    where = f"/dw/studies/{made.StudyInstanceUID}/series/{made.SeriesInstanceUID}/instances"
    there = json.dumps([{"00080018": {"vr": "UI", "Value": [made.SOPInstanceUID]}}]).encode()
    with stub() as port:
        for number, (reply, has, posts) in enumerate((
                ((504, b""), there, 1), ((502, b""), there, 1), ((500, b"oops"), there, 1), ((200, b"{}"), there, 1),
                ((504, b""), b"[]", 2),  # it has not
                ((503, b"busy"), there, 2))):  # which says that it did nothing: no question
            Stub.requests, Stub.replies = [], [reply, (200, stow_answer("00081199", made.SOPInstanceUID))]
            Stub.pages = {where: ("application/dicom+json", has)}
            os.mkdir(f"{folder}/{number}")
            config = write_config(f"{folder}/{number}/pacs.yaml", WEB, url=f"http://127.0.0.1:{port}/dw/", retries=1,
                                  more="")
            out, _ = isotrace("send", folder + "/in", "--config", config, "--pacs", "web", "--json")
            assert json.loads(out) == {"stored": 1, "failed": 0, "known": 0}, (reply, out)
            assert len(Stub.requests) == posts, (reply, len(Stub.requests))


def test_web_answers(folder):
    """Answers to a search and a fetch that are cut, foreign or no DICOM: nothing is written"""
    (path,) = make_objects(folder + "/in", 1)
    (foreign,) = make_objects(folder + "/foreign", 1, series=2)
    sent = by_instance([path])
    study = "1.2.826.0.1.3680043.8.498.1"
    with open(path, "rb") as one, open(foreign, "rb") as two:
        whole, other = one.read(), two.read()

    def frame(*files, end=b"--B--\r\n"):
        return b"".join(b"--B\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files) + end
    kind, search = 'multipart/related; type="application/dicom"; boundary="B"', "application/dicom+json"
    with stub() as port:
        config = write_config(folder + "/pacs.yaml", WEB, url=f"http://127.0.0.1:{port}", retries=0, more="")

        def uids(**tags):
            return json.dumps([{tag[1:]: {"vr": "UI", "Value": [value]} for tag, value in tags.items()}]).encode()

        def fetch(answer, code=5, studies=None, said=""):
            Stub.pages = {"/studies": (search, studies or uids(t0020000D=study, t00100020="M01")),
                          f"/studies/{study}/series": (search, uids(t0020000E=study + ".1", t00080060="CT", t00201209=1)),
                          f"/studies/{study}/series/{study}.1": answer}
            out, err = isotrace("fetch", "--config", config, "--pacs", "web", "--patient-id", "M01", "-o", folder + "/back", "-q",
                                code=code)
            assert said in err and os.path.exists(folder + "/back") == (code == 0), err
            assert not glob.glob(folder + "/.part*")
        fetch((kind, frame(whole)[:-20]), said="breaks off within a part")
        fetch((kind, frame(whole, end=b"")), said="breaks off")
        fetch((kind, frame()), said="0 came")
        fetch((kind, b""), said="is empty")
        fetch((kind, b"--B\r\nContent-Type: a"), said="breaks off in the header")
        fetch((kind, frame(other)), said="not asked for")
        fetch((kind, frame(b"hello")), said="not asked for")
        fetch(("text/html", b"<html>"), said="no DICOM")
        fetch(("multipart/related", frame(whole)), said="no DICOM")
        fetch((kind, frame(whole)), studies=b"[{", said="127.0.0.1")
        fetch((kind, frame(whole)), studies=b"{}", said="not answered with a list")
        fetch((kind, frame(whole)), studies=uids(t0020000D="../../etc", t00100020="M01"), said="no series", code=3)
        fetch((kind, frame(whole)), studies=uids(t0020000D=study, t00100020="M012"), said="no series", code=3)
        fetch((kind, b"preamble\r\n" + frame(whole)), code=0)
        same_objects(sent, fetched(folder + "/back"))
        shutil.rmtree(folder + "/back")
        fetch(("application/dicom", whole), code=0)
        same_objects(sent, fetched(folder + "/back"))


def same_gates(folder, sent, back, *options):
    """As volumes, both are the same voxels, gates and times."""
    import nibabel
    import numpy
    volumes = []
    for number, path in enumerate((sent, back)):
        name = f"{folder}/same{number}"
        isotrace("convert", path, *options, "-o", name + ".nii.gz", "-q")
        with open(name + ".json") as f:
            facts = json.load(f)["isotrace"]
        facts["reconstruction"].pop("input")  # the folder's name
        volumes.append((facts, numpy.asarray(nibabel.load(name + ".nii.gz").dataobj)))
    (one, before), (two, after) = volumes
    assert one == two and len(one["gating"]["gates"]) == gated.GATES and numpy.array_equal(before, after)


FETCH = """receivers:
  - {{name: get, aet: ORTHANC, host: 127.0.0.1, port: {port}}}
  - {{name: move, aet: ORTHANC, host: 127.0.0.1, port: {port}, fetch_by: c-move}}
  - {{name: web, fetch_by: wado-rs, dicomweb: {{url: 'http://127.0.0.1:{http}/dicom-web'}}}}
listen: {{port: {callback}, address: 127.0.0.1}}
"""


def test_fetch(folder):
    """C-GET, C-MOVE and WADO-RS bring the same, by patient, accession number, study, series and modality"""
    pet = by_instance(make_series(folder))
    ct = by_instance(make_objects(folder + "/ct", 4))
    scout = by_instance(make_objects(folder + "/scout", 1, series=2))
    make_objects(folder + "/other", 2, patient="M011", study="1.2.826.0.1.3680043.8.498.2")
    os.mkdir(folder + "/gated")
    gated.write(folder + "/gated")
    gates = {"PT": by_instance(d.filename for d in gated.dicom(folder + "/gated", "--patient-id", "G1", out="PT"))}
    gated.write(folder + "/gated", modality=spect, **gated.TC99M)
    gates["NM"] = by_instance(d.filename for d in gated.dicom(folder + "/gated", "--patient-id", "G1", out="NM"))
    with Orthanc(folder, callback=free_port(), web=True) as orthanc:
        for part in ("out", "ct", "scout", "other", "gated/PT", "gated/NM"):
            isotrace("send", folder + "/" + part, "--pacs", orthanc.address, "-q")
        config = write_config(folder + "/pacs.yaml", FETCH, port=orthanc.dicom, http=orthanc.http, callback=orthanc.callback)
        for way in ("get", "move", "web"):
            def fetch(*arguments, code=0):
                return isotrace("fetch", "--config", config, "--pacs", way, *arguments, code=code)
            out = f"{folder}/{way}"
            fetch("--patient-id", "M01", "-o", out, "-q")
            same_objects({**pet, **ct, **scout}, fetched(out))
            assert sorted(name.split("_")[0] for name in os.listdir(out)) == ["CT", "CT", "PT"]
            if "ISO_SANITIZED" in os.environ and way != "web":
                continue  # what is asked for is put together in the same place
            fetch("--accession", "ACC1", "--patient-id", "M01", "--modality", "CT", "-o", out + "-ct", "-q")
            same_objects({**ct, **scout}, fetched(out + "-ct"))
            fetch("--study", "1.2.826.0.1.3680043.8.498.1", "--series", "1.2.826.0.1.3680043.8.498.1.2", "-o", out + "-one", "-q")
            same_objects(scout, fetched(out + "-one"))
            _, err = fetch("--patient-id", "M01", "--modality", "NM", "-o", out + "-none", code=3)
            assert "no series" in err and not os.path.exists(out + "-none"), err
            fetch("--patient-id", "M0*", "-o", out + "-none", code=2)
        for modality, objects in gates.items():
            back = f"{folder}/gated/back{modality}"
            isotrace("fetch", "--pacs", orthanc.address, "--patient-id", "G1", "--modality", modality, "-o", back, "-q")
            same_objects(objects, fetched(back))
            same_gates(folder, f"{folder}/gated/{modality}", back, *(("--decay-reference", START) if modality == "NM" else ()))
        isotrace("fetch", "--pacs", orthanc.address, "-o", folder + "/none", code=2)
        # over what it fetched before, but not over somebody's folder
        isotrace("fetch", "--pacs", orthanc.address, "--patient-id", "M01", "-o", folder + "/get", "-q")
        isotrace("fetch", "--pacs", orthanc.address, "--patient-id", "M01", "-o", folder + "/db", "-q", code=2)
        assert len(fetched(folder + "/get")) == 11
    _, err = isotrace("fetch", "--pacs", orthanc.address, "--patient-id", "M01", "-o", folder + "/get", "--timeout", "2", code=5)
    assert "no association" in err and len(fetched(folder + "/get")) == 11, err


def test_dcmqrscp(folder):
    """DCMTK's dcmqrscp: sent, fetched by C-GET and C-MOVE"""
    tool = find("dcmqrscp")
    if not tool:
        raise Skip("no dcmqrscp")
    sent = by_instance(make_objects(folder + "/in", 4))
    os.mkdir(folder + "/db")
    port, callback = free_port(), free_port()
    with open(folder + "/dcmqrscp.cfg", "w") as f:
        f.write(f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\nHostTable BEGIN\n"
                f"me = (ISOTRACE, 127.0.0.1, {callback})\nHostTable END\nVendorTable BEGIN\nVendorTable END\nAETable BEGIN\n"
                f"TESTQR {folder}/db RW (200, 1024mb) ANY\nAETable END\n")
    config = write_config(folder + "/pacs.yaml", FETCH.replace("ORTHANC", "TESTQR"), port=port, http=1, callback=callback)
    with Receiver(tool, "-c", folder + "/dcmqrscp.cfg", ready=lambda: listens(port), log=folder + "/qr.log"):
        isotrace("send", folder + "/in", "--config", config, "--pacs", "get", "-q")
        for way in ("get", "move"):
            isotrace("fetch", "--config", config, "--pacs", way, "--patient-id", "M01", "-o", f"{folder}/{way}", "-q")
            same_objects(sent, fetched(f"{folder}/{way}"))


def test_cut_off(folder):
    """A PACS that goes away in the middle of a fetch leaves nothing"""
    make_objects(folder + "/in", 30, pixels=256)
    with Orthanc(folder) as orthanc, socket.socket() as server:
        isotrace("send", folder + "/in", "--pacs", orthanc.address, "-q")
        server.bind(("127.0.0.1", 0))
        server.listen(4)

        passed = []

        def relay():
            """The first association (C-FIND) whole, of the answers on the second (C-GET) 100,000 bytes."""
            for most in (1 << 30, 100000):
                with server.accept()[0] as ours, socket.create_connection(("127.0.0.1", orthanc.dicom)) as theirs:
                    back = threading.Thread(target=pump, args=(ours, theirs), daemon=True)
                    back.start()
                    passed.append(pump(theirs, ours, most))
                    back.join()
        thread = threading.Thread(target=relay, daemon=True)
        thread.start()
        isotrace("fetch", "--pacs", f"ORTHANC@127.0.0.1:{server.getsockname()[1]}", "--patient-id", "M01", "-o", folder + "/back",
                 "-q", "--timeout", "5", code=5)
        thread.join(10)
        assert 100000 in passed, passed
        assert not os.path.exists(folder + "/back") and not glob.glob(folder + "/.part*")


run([test_commitment, test_tls, test_web, test_web_failures, test_web_doubt, test_web_answers, test_fetch, test_dcmqrscp, test_cut_off],
    modules=("numpy", "nibabel", "pydicom"))
