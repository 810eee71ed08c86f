#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PACS configuration file: what it may say, and that no secret stands in it or comes out."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from peers import free_port, make_objects
from volumes import isotrace, run


def refuse(folder, text, *words, code=3):
    with open(folder + "/pacs.yaml", "w") as f:
        f.write(text)
    _, err = isotrace("send", folder, "--config", folder + "/pacs.yaml", "--pacs", "a", "--retries", "0", code=code)
    for word in words:
        assert word in err, (word, err)
    return err


DIMSE = "{name: a, aet: A, host: h, port: 104"


def test_wrong(folder):
    """What is mistyped, missing or contradicts itself is named, with the receiver"""
    for entry, words in (
            (DIMSE + ", prot: 1}", ("no key 'prot'", "line 2")),
            (DIMSE + ", password: hush}", ("no key 'password'",)),
            ("{aet: A, host: h, port: 104}", ("name is missing",)),
            ("{name: a, aet: A, host: h}", ("receiver a", "all three")),
            ("{name: a}", ("receiver a", "dicomweb.url")),
            ("{name: a, aet: A_TITLE_THAT_IS_TOO_LONG, host: h, port: 1}", ("aet", "title")),
            ("{name: a, aet: A, host: h, port: 70000}", ("port", "65535")),
            (DIMSE + ", timeout_s: 0}", ("timeout_s",)),
            (DIMSE + ", send_by: stow-rs}", ("send_by",)),
            (DIMSE + ", fetch_by: pigeon}", ("fetch_by", "c-get")),
            (DIMSE + ", tls: {}}", ("tls", "ca")),
            (DIMSE + ", tls: {ca: c, certificate: d}}", ("tls", "both")),
            ("{name: a, dicomweb: {url: 'ftp://h'}}", ("dicomweb.url",)),
            ("{name: a, dicomweb: {url: 'https://me:hush@h'}}", ("without a user or a secret",)),
            ("{name: a, dicomweb: {url: 'http://h/w', token_env: T}}", ("https", "clear")),
            ("{name: a, dicomweb: {url: 'https://h/w', user: me}}", ("both",)),
            ("{name: a, dicomweb: {url: 'https://h/w', token_env: T, token_file: f}}", ("twice",)),
            (DIMSE + "}\n  - " + DIMSE + "}", ("given twice",))):
        err = refuse(folder, "receivers:\n  - " + entry + "\n", *words)
        assert "hush" not in err, err
    err = refuse(folder, "receivers:\n  - {name: b, aet: A, host: h, port: 104}\n", "there is no receiver 'a'", "there are: b", code=2)
    refuse(folder, "listen: {folder: in}\n", "listen", "port")
    refuse(folder, "aet: ''\n", code=3)


def test_secrets(folder):
    """Secrets come from a file or the environment, are checked, and are in no message"""
    make_objects(folder + "/in", 1)
    port = free_port()
    web = f"receivers:\n  - {{name: a, dicomweb: {{url: 'http://localhost:{port}/w', %s}}}}\n"
    refuse(folder, web % "token_file: secret", "secret", "cannot open")
    with open(folder + "/secret", "w") as f:
        f.write("hush-hush\n")
    os.chmod(folder + "/secret", 0o644)
    err = refuse(folder, web % "token_file: secret", "chmod o-rwx")
    assert "hush" not in err
    os.chmod(folder + "/secret", 0o600)
    err = refuse(folder, web % "token_file: secret", f"localhost:{port}", code=5)
    assert "hush" not in err
    refuse(folder, web % "user: me, password_env: ISOTRACE_TEST_SECRET", "ISOTRACE_TEST_SECRET", "not set")
    os.environ["ISOTRACE_TEST_SECRET"] = "hush\nhush"
    err = refuse(folder, web % "user: me, password_env: ISOTRACE_TEST_SECRET", "control characters")
    assert "hush" not in err
    os.environ["ISOTRACE_PACS"] = folder + "/pacs.yaml"
    isotrace("send", folder + "/in", "--pacs", "b", code=2)


run([test_wrong, test_secrets], modules=("pydicom",))
