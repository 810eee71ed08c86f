# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications that speak DICOM with isotrace in the tests: started on loopback, on free ports, and ended again."""

import glob
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.request

from mini_scp import Server
from volumes import Skip, find, isotrace, write_dose, write_volume

for variable in list(os.environ):  # loopback needs no proxy
    if variable.lower().endswith("_proxy"):
        del os.environ[variable]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listens(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def by_instance(files):
    """What pydicom reads from files, by the identity of the instance."""
    import pydicom
    return {str(d.SOPInstanceUID): d for d in map(pydicom.dcmread, files)}


def make_series(folder, frames=((0, 60), (60, 60)), name="out"):
    import numpy
    voxels = numpy.random.default_rng(3).gamma(1, 1e4, (len(frames), 3, 8, 9))
    write_volume(folder + "/v.nii.gz", voxels, frames=frames)
    write_dose(folder + "/dose.yaml")
    isotrace("dicom", folder + "/v.nii.gz", "--dose", folder + "/dose.yaml", "--patient-id", "M01", "--species", "mouse",
             "-o", f"{folder}/{name}")
    return sorted(glob.glob(f"{folder}/{name}/*.dcm"))


def make_objects(folder, count, series=1, modality="CT", sop_class="1.2.840.10008.5.1.4.1.1.2", patient="M01", pixels=8,
                 study="1.2.826.0.1.3680043.8.498.1"):
    """Small objects, quickly: only what an archive looks at, and pixels that tell them apart. The files' paths."""
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    os.makedirs(folder, exist_ok=True)
    files = []
    for number in range(1, count + 1):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = sop_class
        meta.MediaStorageSOPInstanceUID = f"{study}.{series}.{number}"
        meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        d = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        d.is_little_endian, d.is_implicit_VR = True, False
        d.SOPClassUID, d.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
        d.StudyInstanceUID, d.SeriesInstanceUID = study, f"{study}.{series}"
        d.PatientID, d.PatientName, d.Modality, d.InstanceNumber = patient, "Mouse^One", modality, number
        d.AccessionNumber, d.StudyID, d.SeriesNumber = "ACC1", "1", series
        d.StudyDate = d.StudyTime = d.PatientBirthDate = d.PatientSex = d.ReferringPhysicianName = ""
        d.Rows = d.Columns = pixels
        d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
        d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, 0
        d.RescaleSlope, d.RescaleIntercept = "0.5", "-1000"
        d.PixelData = bytes((number * 7 + i) % 256 for i in range(2 * pixels * pixels))
        path = f"{folder}/{series:03}-{number:05}.dcm"
        d.save_as(path, write_like_original=False)
        files.append(path)
    return files


class Receiver:
    """A process that listens; ended and waited for at the end of the block."""

    def __init__(self, *command, ready, log):
        self.log = open(log, "ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        self.ready = ready

    def __enter__(self):
        try:
            for _ in range(300):
                assert self.process.poll() is None, "the receiver ended by itself"
                if self.ready():
                    return self
                time.sleep(0.1)
            raise AssertionError("the receiver is not ready after 30 s")
        except BaseException:
            self.__exit__()
            raise

    def end(self):
        self.process.terminate()

    def __exit__(self, *_):
        self.end()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def storescp(folder, *options):
    tool = find("storescp")
    if not tool:
        raise Skip("no storescp")
    port = free_port()
    os.mkdir(folder + "/received")
    return port, Receiver(tool, "-aet", "TESTSCP", "-od", folder + "/received", *options, str(port),
                          ready=lambda: listens(port), log=folder + "/storescp.log")


WEB_PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
ORTHANC = {"Name": "TEST", "HttpServerEnabled": True, "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
           "SslEnabled": False, "HttpThreadsCount": 4, "ConcurrentJobs": 1, "DicomThreadsCount": 2,
           "DicomServerEnabled": True, "DicomAet": "ORTHANC", "DicomCheckCalledAet": False,
           "DicomAlwaysAllowEcho": True, "DicomAlwaysAllowStore": True, "DicomCheckModalityHost": False,
           "DicomAlwaysAllowFind": True, "DicomAlwaysAllowGet": True, "DicomAlwaysAllowMove": True,
           "OverwriteInstances": True, "SaveJobs": False, "Plugins": []}


def pump(source, target, most=1 << 40):
    """Carries bytes from one connection to another; whichever ends, the other ends with it. How many went over."""
    count = 0
    try:
        while count < most and (piece := source.recv(min(most - count, 65536))):
            target.sendall(piece)
            count += len(piece)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
    return count


def certificate(folder, name, *alternative):
    """Makes NAME.pem and NAME.key, signed by itself."""
    openssl = find("openssl")
    if not openssl:
        raise Skip("no openssl")
    subprocess.run([openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                    f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem", "-days", "2", "-subj", "/CN=" + name, "-addext",
                    "subjectAltName=" + ",".join(alternative)], check=True, stderr=subprocess.DEVNULL)
    os.chmod(f"{folder}/{name}.key", 0o600)


class TlsFront(Server):
    """TLS in front of a port that speaks without it. Debian's Orthanc ends at the first request over HTTPS."""

    def __init__(self, port, certificate, key):
        self.target = port
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        super().__init__()

    def serve(self, plain):
        try:
            with self.context.wrap_socket(plain, server_side=True) as ours, \
                    socket.create_connection(("127.0.0.1", self.target)) as theirs:
                back = threading.Thread(target=pump, args=(theirs, ours), daemon=True)
                back.start()
                pump(ours, theirs)
                back.join()
        except OSError:
            pass  # whoever called does not trust us


class Orthanc(Receiver):
    """A real PACS. callback: the port at which it believes our title ISOTRACE to be."""

    def __init__(self, folder, callback=0, web=False, **settings):
        tool = find("Orthanc")
        if not tool:
            raise Skip("no Orthanc")
        if web and not os.path.exists(WEB_PLUGIN):
            raise Skip("no orthanc-dicomweb")
        self.http, self.dicom, self.callback = free_port(), free_port(), callback
        self.user = None
        given = dict(ORTHANC, StorageDirectory=folder + "/db", IndexDirectory=folder + "/db", HttpPort=self.http,
                     DicomPort=self.dicom)
        if web:
            given.update(Plugins=[WEB_PLUGIN], DicomWeb={"Enable": True, "Root": "/dicom-web/", "Ssl": False})
        if callback:
            given["DicomModalities"] = {"isotrace": {"AET": "ISOTRACE", "Host": "127.0.0.1", "Port": callback,
                                                     "AllowStorageCommitment": True}}
        given.update(settings)
        with open(folder + "/orthanc.json", "w") as f:
            json.dump(given, f)
        super().__init__(tool, folder + "/orthanc.json", ready=self.answers, log=folder + "/orthanc.log")

    def end(self):
        self.process.kill()  # it would take four seconds to close a database that is thrown away

    def get(self, path):
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}")
        if self.user:
            import base64
            request.add_header("Authorization", "Basic " + base64.b64encode(self.user.encode()).decode())
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read()

    def answers(self):
        try:
            return json.loads(self.get("/system"))["DicomAet"] == "ORTHANC" and listens(self.dicom)
        except OSError:
            return False

    def instances(self):
        return json.loads(self.get("/statistics"))["CountInstances"]

    def files(self, folder):
        """Every instance as a file."""
        os.makedirs(folder, exist_ok=True)
        paths = []
        for index, instance in enumerate(json.loads(self.get("/instances"))):
            paths.append(f"{folder}/{index}.dcm")
            with open(paths[-1], "wb") as f:
                f.write(self.get(f"/instances/{instance}/file"))
        return paths

    @property
    def address(self):
        return f"ORTHANC@127.0.0.1:{self.dicom}"


def same_objects(sent, received):
    """Every value and pixel of the datasets is the same."""
    assert set(sent) == set(received), f"{len(sent)} were sent, {len(received)} are there"
    for uid, image in received.items():
        assert image.PixelData == sent[uid].PixelData and image == sent[uid], f"{uid} differs"


def write_config(path, text, **values):
    """A PACS configuration file from a text with {placeholders}."""
    with open(path, "w") as f:
        f.write(text.format(**values))
    return path
