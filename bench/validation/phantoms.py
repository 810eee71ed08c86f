# SPDX-License-Identifier: GPL-3.0-or-later
"""What all phantoms share: corrections, calibration, and a result with its checks, tables and figures."""
import json
import math

import scenes

# Six times twelve subsets are 72 updates, after which cold regions beside warm ones have settled. The resolution is the
# virtual scanner's own (docs/decisions/015); the positrons' range is modelled on top.
MOUSE_RECON = {"voxel": 0.8, "iterations": 6, "subsets": 12, "psf-fwhm": 1.2, "positron-range": True, "replicates": 0}
CLINICAL_RECON = {"voxel": 4, "iterations": 6, "subsets": 12, "psf-fwhm": 4, "positron-range": True, "replicates": 0}
WITH_PROMPT_GAMMAS = ("Ga-68", "I-124", "Sc-44", "Br-76", "Y-86", "Mn-52")


class Result:
    def __init__(self, name, title):
        self.name, self.title = name, title
        self.setup, self.counts = "", ""
        self.checks, self.tables, self.figures, self.remarks = [], [], {}, []

    def check(self, what, value, limit, unit, good=None):
        """A number against the largest size it may have."""
        good = abs(value) <= limit if good is None else good
        self.checks.append({"what": what, "value": float(value), "limit": limit, "unit": unit, "good": bool(good)})

    def table(self, header, rows):
        self.tables.append({"header": header, "rows": [[str(cell) for cell in row] for row in rows]})

    def as_json(self):
        return {key: getattr(self, key) for key in ("name", "title", "setup", "counts", "checks", "tables", "figures", "remarks")}


def simulate(program, name, scene, without=()):
    """Switches on what the build simulates and runs it. The clinical scanner's crystals are alike: a norm scan of 19,200 crystals to 2 %
    would be 3e9 decays, and what normalisation does is shown with the mouse's."""
    scenes.equip(program, scene, (*without, "efficiency spread") if scene.detector["radius_mm"] > 100 else without)
    return program.simulate(name, scene)


def simulate_parts(program, name, parts):
    """One scan of scenes that follow one another: each is a file of its own, so that a run that was stopped goes on."""
    made = [simulate(program, f"{name}-{n}", scene) for n, scene in enumerate(parts)]
    return program.join(name, made) if len(made) > 1 else made[0]


def corrections(program, scan, without=()):
    """The options of recon that correct for what the simulated scanner does, as far as this build has them."""
    nuclide = scan.truth["nuclide"]
    clinical = "clinical" in scan.truth["scanner"]
    settings = {"mu": None if "attenuation" in without else scan.base + ".mu.nii.gz",
                "randoms": "none" if "randoms" in without else "delayed"}
    if program.takes("recon", "--scatter"):
        settings["scatter"] = "none" if {"scatter", "attenuation"} & set(without) or '"scatter": true' not in scan.scene else "sss"
    if program.takes("recon", "--normalisation") and "normalisation" not in without and "efficiency_spread_percent" in scan.scene:
        settings["normalisation"] = normalisation(program, clinical)
    if program.takes("recon", "--dead-time=") and "dead time" not in without and "dead_time_ns" in scan.scene:
        settings["dead-time"] = "singles"
    if program.takes("recon", "--prompt-gamma") and nuclide in WITH_PROMPT_GAMMAS:
        settings["prompt-gamma=no" if "prompt gammas" in without else "prompt-gamma"] = True  # on with scatter unless told not to be
    return settings


def normalisation(program, clinical):
    """The normalisation of a scanner whose crystals differ, from a cylinder that fills most of its field of view; None when this
    build simulates crystals that are all alike or cannot normalise. The cylinder is transparent, as a thin-walled source is nearly:
    it gives three times the counts of one of water in the same time."""
    detector = scenes.CLINICAL_PET if clinical else scenes.MOUSE_PET
    diameter, length, mbq, seconds = (200, 168, 30, 60) if clinical else (60, 102, 5, 40)
    scene = scenes.uniform_cylinder(detector, diameter, length, mbq, seconds, seed=70)
    lacking = scenes.equip(program, scene)
    scene.physics.update({"attenuation": False, "scatter": False})
    if "efficiency spread" in lacking or not program.options("normalise"):
        return None
    name = "normalisation-clinical" if clinical else "normalisation-mouse"
    scan = program.simulate(name, scene)
    return program.normalise(scan, name, ["--source", "cylinder", "--radius", str(diameter / 2), "--length", str(length), "--mu", "0"])


def grid(edges_mm, voxel_mm):
    """A grid that holds a body of these sizes and three voxels more on each side; even numbers of voxels."""
    return ",".join(str(2 * math.ceil((edge / voxel_mm + 6) / 2)) for edge in edges_mm)


def calibration_file(program, clinical=False):
    """Made as a site makes it, once and with F-18: a cylinder of a size that no other phantom has, reconstructed with all corrections, its
    activity known to 1 % (here it is exact: the uncertainty is only stated)."""
    name = "calibration-clinical" if clinical else "calibration-mouse"
    detector = scenes.CLINICAL_PET if clinical else scenes.MOUSE_PET
    diameter, length, mbq, seconds = (100, 150, 10, 16) if clinical else (40, 80, 3, 80)
    scan = simulate(program, name, scenes.uniform_cylinder(detector, diameter, length, mbq, seconds, seed=11))
    settings = {**(CLINICAL_RECON if clinical else MOUSE_RECON), **corrections(program, scan), "replicates": 5, "uncalibrated": True,
                "iterations": 16, "subsets": 4}  # an image of few events per subset is the last subset's
    settings["grid"] = grid((diameter, diameter, length), settings["voxel"])
    base = program.reconstruct(scan, name, settings)
    region = f"cylinder:0,0,0,{0.35 * diameter},{0.6 * length}"
    return program.calibrate(base, name, [
        "--concentration-bq-per-ml", repr(scan.organs["cylinder"]["concentration_bq_per_ml"]), "--assay-time", scan.truth["scan_start_time"],
        "--uncertainty-percent", "1", "--region", region])


def calibration(program, clinical=False):
    """Bq/mL per counts/s/mm for branching 1 and the relative standard deviation of its counts: (factor, sd)."""
    with open(calibration_file(program, clinical)) as file:
        made = json.load(file)
    return made["factor"], made["uncertainty"]["noise"]
