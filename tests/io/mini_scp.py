# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver made of sockets and pydicom, which shares no code with DCMTK: C-ECHO, C-STORE, and storage commitment answered on the association that
asks. It can be told to fail."""

import io
import socket
import struct
import threading

IMPLICIT = "1.2.840.10008.1.2"
NO_DATASET = 0x0101


def uid_of(item):
    return item.rstrip(b"\0 ").decode()


def items(body):
    while body:
        kind, length = body[0], struct.unpack(">H", body[2:4])[0]
        yield kind, body[4:4 + length]
        body = body[4 + length:]


def item(kind, body):
    return struct.pack(">BBH", kind, 0, len(body)) + body


def encode(dataset):
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, True
    write_dataset(out, dataset)
    return out.getvalue()


def decode(data):
    from pydicom.filereader import read_dataset
    return read_dataset(io.BytesIO(data), True, True)


class Server:
    """Accepts connections on a free port of loopback, and serves each in a thread."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.close()

    def accept(self):
        try:
            while True:
                threading.Thread(target=self.serve, args=self.server.accept()[:1], daemon=True).start()
        except OSError:
            pass  # closed


class MiniScp(Server):
    """statuses: what the first C-STOREs are answered with, then 0; "drop": the object is kept and the connection cut."""

    def __init__(self, statuses=()):
        self.statuses = list(statuses)
        self.stored, self.requests = [], []  # instance UIDs; data sets of N-ACTION
        self.forgotten = set()  # not committed
        super().__init__()

    def serve(self, connection):
        with connection:
            try:
                self.talk(connection)
            except (OSError, EOFError):
                pass

    @staticmethod
    def read(connection, size):
        data = b""
        while len(data) < size:
            piece = connection.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def pdu(self, connection):
        kind, length = struct.unpack(">BxI", self.read(connection, 6))
        return kind, self.read(connection, length)

    def accept_association(self, connection, body):
        reply = body[:68] + item(0x10, b"1.2.840.10008.3.1.1.1")
        for kind, content in items(body[68:]):
            if kind != 0x20:
                continue
            syntaxes = [uid_of(sub) for name, sub in items(content[4:]) if name == 0x40]
            taken = IMPLICIT if IMPLICIT in syntaxes else syntaxes[0]
            reply += item(0x21, content[:1] + b"\0\0\0" + item(0x40, taken.encode()))
        reply += item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.826.0.1.3680043.8.498.99"))
        connection.sendall(struct.pack(">BxI", 2, len(reply)) + reply)

    def send(self, connection, context, command, dataset=None):
        from pydicom.dataset import Dataset
        command.CommandDataSetType = 1 if dataset is not None else NO_DATASET
        body = encode(command)
        length = Dataset()
        length.CommandGroupLength = len(body)
        for flags, data in [(3, encode(length) + body)] + ([(2, encode(dataset))] if dataset is not None else []):
            pdv = struct.pack(">IBB", len(data) + 2, context, flags) + data
            connection.sendall(struct.pack(">BxI", 4, len(pdv)) + pdv)

    def talk(self, connection):
        kind, body = self.pdu(connection)
        self.accept_association(connection, body)
        command, parts = None, {1: b"", 0: b""}
        while True:
            kind, body = self.pdu(connection)
            if kind == 5:  # release
                connection.sendall(struct.pack(">BxII", 6, 4, 0))
                return
            if kind != 4:
                return
            while body:
                length, context, flags = struct.unpack(">IBB", body[:6])
                parts[flags & 1] += body[6:4 + length]
                body = body[4 + length:]
                if flags & 3 == 3:
                    command = decode(parts[1])
                if command is not None and (flags & 3 == 2 or command.CommandDataSetType == NO_DATASET):
                    self.answer(connection, context, command, parts[0])
                    command, parts = None, {1: b"", 0: b""}

    def answer(self, connection, context, command, data):
        from pydicom.dataset import Dataset
        reply = Dataset()
        reply.CommandField = command.CommandField | 0x8000
        reply.MessageIDBeingRespondedTo = command.get("MessageID", 0)
        reply.Status = 0
        if command.CommandField == 0x0001:  # C-STORE
            status = self.statuses.pop(0) if self.statuses else 0
            if status in (0, "drop"):
                self.stored.append(str(command.AffectedSOPInstanceUID))
            if status == "drop":
                raise EOFError
            reply.AffectedSOPClassUID, reply.AffectedSOPInstanceUID = command.AffectedSOPClassUID, command.AffectedSOPInstanceUID
            reply.Status = status
        if command.CommandField & 0x8000:
            return  # the answer to our report
        self.send(connection, context, reply)
        if command.CommandField == 0x0130:  # N-ACTION
            self.report(connection, context, command, decode(data))

    def report(self, connection, context, command, request):
        from pydicom.dataset import Dataset
        self.requests.append(request)
        event, dataset = Dataset(), Dataset()
        event.AffectedSOPClassUID, event.AffectedSOPInstanceUID = command.RequestedSOPClassUID, command.RequestedSOPInstanceUID
        event.CommandField, event.MessageID = 0x0100, 7
        dataset.TransactionUID = request.TransactionUID
        kept = [one for one in request.ReferencedSOPSequence
                if one.ReferencedSOPInstanceUID in self.stored and one.ReferencedSOPInstanceUID not in self.forgotten]
        lost = [one for one in request.ReferencedSOPSequence if one not in kept]
        for one in lost:
            one.FailureReason = 0x0112
        dataset.ReferencedSOPSequence = kept
        if lost:
            dataset.FailedSOPSequence = lost
        event.EventTypeID = 2 if lost else 1
        self.send(connection, context, event, dataset)
