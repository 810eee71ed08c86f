# SPDX-License-Identifier: GPL-3.0-or-later
"""NM projections made here with pydicom become list-mode: every count once, where and when it was; h5py reads what isotrace wrote."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from dicom_samples import write_tomo
from volumes import Skip, isotrace, run

SHARED = os.environ.get("ISOTRACE_SHARED") or os.path.join(os.environ.get("ISOTRACE_SOURCE_ROOT", "."), "..", "shared")


def counts_of(frames, seed=3):
    import numpy
    return numpy.random.default_rng(seed).poisson(3, (frames, 5, 4))


def test_one_head(folder):
    """One head, three views: pixel, view and time of every count, pixels and angles, info"""
    import h5py
    import numpy
    counts = counts_of(3)
    write_tomo(folder + "/t.dcm", counts, [(1, 1, 1, v) for v in (1, 2, 3)])
    facts = json.loads(isotrace("convert", folder + "/t.dcm", "-o", folder + "/t.lm.h5", "--json")[0])
    assert facts["prompts"] == counts.sum() and facts["modality"] == "SPECT" and facts["duration_s"] == 60
    assert facts["start"] == "2026-03-14T09:00:00Z" and facts["injection"] == "2026-03-14T08:00:00Z" and facts["nuclide"] == "Tc-99m"
    assert facts["injected_activity_bq"] == 37e6 and facts["energy_window_kev"] == [126, 154] and facts["gantry_positions"] == 3
    with h5py.File(folder + "/t.lm.h5") as f:
        element, time = f["events/element"][:], f["events/time_ms"][:]
        back = numpy.zeros((3, 20), int)
        numpy.add.at(back, (element[:, 1], element[:, 0]), 1)
        assert (back.reshape(counts.shape) == counts).all()
        assert (time == 20000 * element[:, 1]).all() and not f["events/window"][:].any()
        # pixel (row 1, column 3) of 5 x 4: 0.8 mm along the row, 0.5 mm down
        assert numpy.allclose(f["scanner/position_mm"][1 * 4 + 3], (1.5 * 0.8, -1 * 0.5, 0))
        assert list(f["gantry/angle_deg"]) == [0, 3, 6] and list(f["gantry/start_s"]) == [0, 20, 40]
        assert list(f["gantry/radius_mm"]) == [100] * 3 and list(f["gantry/detector"]) == [0] * 3
    info = json.loads(isotrace("info", folder + "/t.lm.h5", "--json")[0])
    assert info["gantry_positions"] == 3 and info["prompts"] == counts.sum()
    # native to native keeps the positions
    isotrace("convert", folder + "/t.lm.h5", "-o", folder + "/again.lm.h5", "-q")
    with h5py.File(folder + "/again.lm.h5") as f:
        assert list(f["gantry/angle_deg"]) == [0, 3, 6]


def test_two_heads(folder):
    """Two heads, two windows, two rotations clockwise, frames in no order: positions in the order of time"""
    import h5py
    import numpy
    vectors = [(w, d, r, v) for v in (2, 1) for r in (1, 2) for d in (2, 1) for w in (2, 1)]
    counts = counts_of(len(vectors))

    def clockwise(d):
        for rotation in d.RotationInformationSequence:
            rotation.RotationDirection = "CW"
        del d.DetectorInformationSequence[1].RadialPosition
    write_tomo(folder + "/t.dcm", counts, vectors, rotations=2, detectors=2, windows=((126, 154), (90, 120)), change=clockwise)
    isotrace("convert", folder + "/t.dcm", "-o", folder + "/t.lm.h5", "-q")
    with h5py.File(folder + "/t.lm.h5") as f:
        angle, start, head = f["gantry/angle_deg"][:], f["gantry/start_s"][:], f["gantry/detector"][:]
        # rotation 1: views 1, 2; rotation 2: views 1, 2; each with heads at 0 and 180 degrees
        assert list(start) == [0, 0, 20, 20, 40, 40, 60, 60] and list(head) == [0, 1] * 4
        assert list(angle) == [0, 180, -3, 177, 0, 180, -3, 177]
        assert "radius_mm" not in f["gantry"]  # not known of the second head
        element, window, time = f["events/element"][:], f["events/window"][:], f["events/time_ms"][:]
        assert (numpy.diff(time.astype(int)) >= 0).all()
        for n, (w, d, r, v) in enumerate(vectors):
            position = 4 * (r - 1) + 2 * (v - 1) + d - 1
            mine = element[(element[:, 1] == position) & (window == w - 1), 0]
            assert (numpy.bincount(mine, minlength=20).reshape(5, 4) == counts[n]).all(), n
        assert "energy_window_kev" not in f["acquisition"].attrs
        assert json.loads(f["provenance"][()])["export"]["energy_windows_kev"] == [[126, 154], [90, 120]]


def test_refused(folder):
    """Doubled views, lost vectors, no duration, too few pixels, a false position in list-mode: refused, nothing left"""
    import h5py
    one = [(1, 1, 1, 1), (1, 1, 1, 2)]

    def case(name, change, *words, vectors=one):
        write_tomo(f"{folder}/{name}", counts_of(2), vectors, change=change)
        err = isotrace("convert", f"{folder}/{name}", "-o", f"{folder}/{name}.lm.h5", code=3)[1]
        assert not os.path.exists(f"{folder}/{name}.lm.h5") and "Secret" not in err
        for word in words:
            assert word in err, (word, err)
    case("double", None, "one view", vectors=[one[0], one[0]])
    case("vector", lambda d: setattr(d, "AngularViewVector", [1]), "angular view")
    case("rotation", None, "rotation 2 has no duration", vectors=[(1, 1, 2, 1), (1, 1, 2, 2)])
    case("duration", lambda d: delattr(d.RotationInformationSequence[0], "ActualFrameDuration"), "duration of a view")
    case("direction", lambda d: setattr(d.RotationInformationSequence[0], "RotationDirection", "UP"), "direction")
    case("views", lambda d: setattr(d.RotationInformationSequence[0], "NumberOfFramesInRotation", 1), "has 1 views")
    case("short", lambda d: setattr(d, "PixelData", d.PixelData[:20]), "pixels where 2 x 5 x 4")
    case("zone", lambda d: delattr(d, "TimezoneOffsetFromUTC"), "--time-zone")
    write_tomo(folder + "/good.dcm", counts_of(2), one)
    isotrace("convert", folder + "/good.dcm", "-o", folder + "/good.lm.h5", "-q")
    with h5py.File(folder + "/good.lm.h5", "r+") as f:
        f["events/element"][3, 1] = 7
    assert "gantry position" in isotrace("convert", folder + "/good.lm.h5", "-o", folder + "/no.lm.h5", code=3)[1]
    with h5py.File(folder + "/good.lm.h5", "r+") as f:
        del f["gantry/start_s"]
    assert "/gantry/start_s" in isotrace("info", folder + "/good.lm.h5", code=3)[1]


def test_reference(folder):
    """The reference sample, which dciodvfy accepts: 60 views of 256 pixels"""
    path = os.path.join(SHARED, "data", "dicom_reference", "nmtomo.dcm")
    if not os.path.exists(path):
        raise Skip("no shared data")
    facts = json.loads(isotrace("convert", path, "-o", folder + "/r.lm.h5", "--time-zone", "+00:00", "--json")[0])
    assert facts["gantry_positions"] == 60 and facts["elements"] == 256 and facts["nuclide"] == "Tc-99m"


run([test_one_head, test_two_heads, test_refused, test_reference], modules=["pydicom", "h5py"])
