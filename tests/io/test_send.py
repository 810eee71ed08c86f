# SPDX-License-Identifier: GPL-3.0-or-later
"""isotrace send against receivers that this test starts on loopback and ends again."""

import glob
import json
import os
import shutil
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from peers import Orthanc, by_instance, free_port, make_series, same_objects, storescp
from volumes import isotrace, run


def test_storescp(folder):
    """storescp receives every file, and the datasets are the same"""
    files = make_series(folder)
    with open(folder + "/out/notes.txt", "w") as f:
        f.write("no DICOM")
    os.mkdir(folder + "/out/below")
    shutil.move(files[-1], folder + "/out/below")
    sent = by_instance(glob.glob(folder + "/out/**/*.dcm", recursive=True))
    port, receiver = storescp(folder, "-pm")
    with receiver:
        out, err = isotrace("send", folder + "/out", "--pacs", f"TESTSCP@127.0.0.1:{port}", "--json")
        assert json.loads(out) == {"stored": 6, "failed": 0}, out
        assert "notes.txt" in err and "skipped" in err, err
        received = by_instance(glob.glob(folder + "/received/*"))
        assert len(sent) == 6 and received == sent
        # once more, one file, over implicit VR: what is there is replaced by the same
        isotrace("send", files[0], "--pacs", f"TESTSCP@localhost:{port}", "-q")
        assert by_instance(glob.glob(folder + "/received/*")) == sent


def test_implicit_only(folder):
    """A receiver that only takes Implicit VR gets the same values"""
    sent = by_instance(make_series(folder))
    port, receiver = storescp(folder, "-pm", "+xi")
    with receiver:
        isotrace("send", folder + "/out", "--pacs", f"TESTSCP@127.0.0.1:{port}")
        received = by_instance(glob.glob(folder + "/received/*"))
        assert set(received) == set(sent)
        for uid, image in received.items():
            assert image.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"
            assert image.PixelData == sent[uid].PixelData and image.RescaleSlope == sent[uid].RescaleSlope
            assert image.DecayFactor == sent[uid].DecayFactor


def test_orthanc(folder):
    """Orthanc stores every image with its pixels"""
    sent = by_instance(make_series(folder))
    with Orthanc(folder) as orthanc:
        out, _ = isotrace("send", folder + "/out", "--pacs", orthanc.address)
        assert "6 of 6" in out, out
        for _ in range(2):  # sending twice does not double anything
            assert json.loads(orthanc.get("/statistics"))["CountInstances"] == 6
            assert json.loads(orthanc.get("/statistics"))["CountSeries"] == 1
            isotrace("send", folder + "/out", "--pacs", orthanc.address)
        same_objects(sent, by_instance(orthanc.files(folder + "/back")))


def test_nobody(folder):
    """No PACS there: exit code 5 and a message that says who was called and what to do"""
    make_series(folder, ((0, 60),))
    port = free_port()
    _, err = isotrace("send", folder + "/out", "--pacs", f"NOBODY@127.0.0.1:{port}", "--retries", "0", code=5)
    assert "NOBODY" in err and "127.0.0.1" in err and str(port) in err and "check" in err, err
    assert err.count("\n") == 1, err  # DCMTK's own log stays silent
    _, err = isotrace("send", folder + "/out", "--pacs", f"A@no-such-host.invalid:{port}", "--timeout", "3", "--retries", "0", code=5)
    assert "no-such-host.invalid" in err, err


def test_usage(folder):
    """Wrong addresses are wrong usage, and a folder without DICOM is bad input"""
    for pacs in ("localhost:104", "A@host", "A@host:x", "A_TITLE_THAT_IS_TOO_LONG@host:104"):
        _, err = isotrace("send", folder, "--pacs", pacs, code=2)
        assert "AET@HOST:PORT" in err, err
    isotrace("send", folder, code=2)
    isotrace("send", folder, "--pacs", "A@127.0.0.1:1", "--timeout", "0", code=2)
    _, err = isotrace("send", folder, "--pacs", "A@127.0.0.1:1", code=3)
    assert "no DICOM" in err, err
    isotrace("send", folder + "/none", "--pacs", "A@127.0.0.1:1", code=3)


def test_refusal(folder):
    """A receiver that refuses the association, and one that hangs up in the middle of it"""
    files = make_series(folder, ((0, 60),))
    port, receiver = storescp(folder, "--refuse")
    with receiver:
        _, err = isotrace("send", folder + "/out", "--pacs", f"TESTSCP@127.0.0.1:{port}", "--retries", "0", code=5)
        assert "TESTSCP" in err and "own-aet" in err, err
        assert err.count("\n") == 1, err
    os.rmdir(folder + "/received")
    port, receiver = storescp(folder, "-pm", "--abort-after")
    with receiver:
        _, err = isotrace("send", folder + "/out", "--pacs", f"TESTSCP@127.0.0.1:{port}", "-q", "--retries", "0", code=5)
        assert f"{len(files)} of {len(files)}" in err, err


def test_silence(folder):
    """A receiver that never answers: the timeout ends it"""
    make_series(folder, ((0, 60),))
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        held = []
        thread = threading.Thread(target=lambda: held.append(server.accept()), daemon=True)
        thread.start()
        began = time.monotonic()
        _, err = isotrace("send", folder + "/out", "--pacs", f"DEAF@127.0.0.1:{server.getsockname()[1]}", "--timeout", "1",
                          "--retries", "0", code=5)
        assert time.monotonic() - began < 10, "the timeout did not work"
        assert "DEAF" in err, err
        thread.join(1)
        for connection, _ in held:
            connection.close()


def test_partial(folder):
    """What the receiver does not take is counted, the rest is stored: exit code 4"""
    import pydicom
    files = make_series(folder, ((0, 60),))
    # A file whose header promises what the dataset does not hold: it cannot be sent.
    broken = pydicom.dcmread(files[0])
    del broken.SOPInstanceUID
    broken.save_as(files[0])
    port, receiver = storescp(folder, "-pm")
    with receiver:
        out, err = isotrace("send", folder + "/out", "--pacs", f"TESTSCP@127.0.0.1:{port}", "--json", code=4)
        assert json.loads(out) == {"stored": 2, "failed": 1}, out
        assert os.path.basename(files[0]) in err, err
        assert len(os.listdir(folder + "/received")) == 2


run([test_storescp, test_implicit_only, test_orthanc, test_nobody, test_usage, test_refusal, test_silence, test_partial],
    modules=("numpy", "nibabel", "pydicom"))
