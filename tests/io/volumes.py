# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes, dose files and TAP for the Python tests of DICOM; written with nibabel, which shares no code with isotrace."""

import json
import os
import subprocess
import sys
import tempfile
import traceback

ISOTRACE = os.environ.get("ISOTRACE", "isotrace")
START = "2026-03-14T23:50:00Z"  # ten minutes before midnight, so that a lost date shows
CU64_HALF_LIFE_S = 12.7004 * 3600
F18_HALF_LIFE_S = 1.82890 * 3600


def write_volume(path, voxels, voxel_mm=(0.5, 0.4, 1.1), origin_mm=(-3.0, 2.0, 40.0), frames=((0, 600),), nuclide="Cu-64",
                 half_life_s=CU64_HALF_LIFE_S, change=None):
    """voxels: [frames][k][j][i] in Bq/mL, on an axis-aligned LPS grid. change(sidecar) may spoil the sidecar."""
    import nibabel
    import numpy
    voxels = numpy.asarray(voxels, numpy.float32)
    affine = numpy.diag([-voxel_mm[0], -voxel_mm[1], voxel_mm[2], 1.0])
    affine[:3, 3] = [-origin_mm[0], -origin_mm[1], origin_mm[2]]
    data = voxels.transpose(3, 2, 1, 0)
    image = nibabel.Nifti1Image(data if len(frames) > 1 else data[..., 0], affine)
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    image.to_filename(path)
    text = dict.fromkeys(("randoms", "attenuation", "scatter", "normalisation", "dead_time", "decay", "branching",
                          "calibration", "resolution", "post_filter"), "")
    text.update(randoms="delayed coincidences, crystal fan sums", attenuation="mu map at 511 keV",
                decay="to the start", calibration="cylinder")
    sidecar = {"Units": "Bq/mL", "isotrace": {
        "format": "isotrace volume 1", "unit": "Bq/mL",
        "grid": {"size": list(voxels.shape[:0:-1]), "voxel_mm": list(voxel_mm), "origin_mm": list(origin_mm),
                 "direction": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]},
        "frames": [{"start_s": s, "duration_s": d} for s, d in frames],
        "replicates": 0, "decay_reference_s": 0, "half_life_s": half_life_s, "branching_fraction": None,
        "calibration_factor": 1.0, "calibration_uncertainty": None,
        "acquisition": {"modality": "PET", "scanner_name": "test ring", "nuclide": nuclide, "tracer": "",
                        "subject": "M01", "start_utc": START, "injection_utc": None, "duration_s": None,
                        "injected_activity_bq": None, "energy_window_low_kev": None, "energy_window_high_kev": None,
                        "half_life_s": None, "branching_fraction": None},
        "corrections": text,
        "reconstruction": {"method": "list-mode OSEM", "input": "", "input_sha256": "", "software": "isotrace test",
                           "iterations": 4, "subsets": 8, "prompts": None, "delayeds": None}}}
    if change:
        change(sidecar)
    with open(path.replace(".nii.gz", ".json"), "w") as f:
        json.dump(sidecar, f)


def spect(sidecar):
    """A change for write_volume: the volume is SPECT, in the usual window of Tc-99m."""
    sidecar["isotrace"]["acquisition"].update(modality="SPECT", energy_window_low_kev=126.0, energy_window_high_kev=154.0)


def write_dose(path, nuclide="Cu-64", activity_bq=7.4e6, mass_g=21.3, injection="2026-03-14T22:50:00Z"):
    """Assayed at the moment of injection and nothing left: the net injected activity is the number itself."""
    with open(path, "w") as f:
        f.write(f"nuclide: {nuclide}\ntracer: '[64Cu]Cu-NOTA particle'\nroute: intravenous\n"
                f"syringe_before:\n  activity_bq: {activity_bq:.10g}\n  time: {injection}\n"
                f"syringe_after:\n  activity_bq: 0\ninjection_time: {injection}\nbody_mass_g: {mass_g}\n")


def isotrace(*arguments, code=0):
    """Runs the program and checks its exit code; its standard output and error."""
    done = subprocess.run([ISOTRACE, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == code, f"exit code {done.returncode} instead of {code}: {err}"
    return out, err


def find(name):
    """Full path of a tool, or None."""
    for folder in os.environ.get("PATH", "").split(":") + ["/usr/bin", "/usr/sbin"]:
        if os.access(os.path.join(folder, name), os.X_OK):
            return os.path.join(folder, name)
    return None


class Skip(Exception):
    pass


# dciodvfy's warnings about files that are right; docs/dicom.md says why each is.
EXPLAINED = ("needed to build DICOMDIR - Study ID", "Retired Person Name form", "attribute <Laterality>",
             "Radionuclide Half Life", "Radiopharmaceutical Start DateTime", "Acquisition Duration", "Rescale Intercept",
             "Rescale Slope", "this is a Standard Extended SOP Class", "Unrecognized defined term <99ISOTRACE>", "Unrecognized defined term <RESP>",
             "Different information entities for attribute - Element=<AccessionNumber>")


def check_valid(files, iod, mistaken=()):
    """No error of dciodvfy and dcentvfy but those in which they are mistaken, and no warning that is not explained."""
    if not find("dciodvfy") or not find("dcentvfy"):
        raise Skip("no dciodvfy")
    for command, expected in [([find("dciodvfy"), file], [iod]) for file in files] + [([find("dcentvfy"), *files], [])]:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        lines = done.stdout.decode(errors="replace").splitlines()
        assert all(line in lines for line in expected), lines
        unknown = [x for x in lines if x not in expected and x not in mistaken and not (x.startswith("Warning") and any(e in x for e in EXPLAINED))]
        assert not unknown, (command[-1], unknown)


def run(tests, modules=()):
    """Runs functions, each with a folder of its own, and reports them in TAP."""
    print(f"1..{len(tests)}")
    failed = 0
    missing = ""
    for module in modules:
        try:
            __import__(module)
        except ImportError:
            missing = module
    for number, test in enumerate(tests, 1):
        name = test.__doc__.split("\n")[0].rstrip(".")
        with tempfile.TemporaryDirectory(prefix="isotrace-test-") as folder:
            try:
                if missing:
                    raise Skip(f"no {missing}")
                test(folder)
                print(f"ok {number} - {name}", flush=True)
            except Skip as reason:
                print(f"ok {number} - {name} # SKIP {reason}", flush=True)
            except BaseException:
                failed += 1
                for line in traceback.format_exc().splitlines():
                    print("#", line)
                print(f"not ok {number} - {name}", flush=True)
    sys.exit(1 if failed else 0)
