# SPDX-License-Identifier: GPL-3.0-or-later
"""List-mode files made of others: parts of a long scan joined, and the events of some fates alone (docs/listmode-format.md)."""
import json
import shutil

import numpy as np

PER_EVENT = ("events/element", "events/kind", "events/time_ms", "events/tof_bin", "events/window", "truth/fate", "truth/scatters")
BESIDE = (".labels.nii.gz", ".labels.csv", ".mu.nii.gz", ".dose.yaml", ".scene.yaml")


def put(file, name, values):
    attributes = dict(file[name].attrs)
    del file[name]
    made = file.create_dataset(name, data=values, chunks=True, compression="gzip", compression_opts=1, shuffle=True)
    for key, value in attributes.items():
        made.attrs[key] = value


def per_event(file):
    return [name for name in PER_EVENT if name in file]


def retell(file, duration_s):
    """Numbers that follow from the events."""
    kind, seconds = file["events/kind"][:], len(file["events/index"])
    counts = file["counts"].attrs
    for name, value in (("prompts", (kind == 0).sum()), ("delayeds", (kind == 1).sum()), ("records", len(kind))):
        counts.modify(name, np.array(value, counts[name].dtype))
    counts.modify("duration_s", duration_s)
    file["acquisition"].attrs.modify("duration_s", duration_s)
    put(file, "events/index", np.searchsorted(file["events/time_ms"][:], 1000 * np.arange(seconds)).astype("u8"))


def join(parts, base):
    """One scan of scans that follow one another without a gap, each as many whole seconds long as the first. What lies across a seam (a
    coincidence, a dead block) is lost: microseconds of minutes."""
    import h5py
    shutil.copy(parts[0] + ".lm.h5", base + ".lm.h5")
    files = [h5py.File(part + ".lm.h5") for part in parts]
    length_s = files[0]["acquisition"].attrs["duration_s"]
    if length_s != round(length_s) or any(f["acquisition"].attrs["duration_s"] != length_s for f in files):
        raise ValueError("parts of a scan are equally many whole seconds long")
    with h5py.File(base + ".lm.h5", "r+") as out:
        for name in (*per_event(out), "events/index", *(["singles/counts"] if "singles" in out else [])):
            late = 1000 * int(length_s) if name == "events/time_ms" else 0
            put(out, name, np.concatenate([f[name][:] + np.asarray(n * late, f[name].dtype) for n, f in enumerate(files)]))
        retell(out, length_s * len(parts))
    for end in BESIDE:
        shutil.copy(parts[0] + end, base + end)
    truths = []
    for part in parts:
        with open(part + ".truth.json") as file:
            truths.append(json.load(file))
    whole = dict(truths[0], duration_s=length_s * len(parts), counts={key: sum(t["counts"][key] for t in truths) for key in truths[0]["counts"]})
    with open(base + ".truth.json", "w") as file:
        json.dump(whole, file, indent=1)


def choose(base, fates, out):
    """The prompts of these fates alone, with the same facts, as if the scanner had known; no delayeds."""
    import h5py
    shutil.copy(base + ".lm.h5", out + ".lm.h5")
    with h5py.File(out + ".lm.h5", "r+") as file:
        keep = (file["events/kind"][:] == 0) & np.isin(file["truth/fate"][:], fates)
        for name in per_event(file):
            put(file, name, file[name][:][keep])
        retell(file, file["acquisition"].attrs["duration_s"])
    for end in (*BESIDE, ".truth.json"):
        shutil.copy(base + end, out + end)
