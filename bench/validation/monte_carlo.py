# SPDX-License-Identifier: GPL-3.0-or-later
"""What the reconstruction estimates against what the Monte Carlo counted: randoms, scatter, efficiencies.

`isotrace recon --write-background FILE` writes, summed over all pairs that may count, the expected randoms and scatter of the first frame:

    {"randoms": N, "scatter": N,
     "radial": {"edges_mm": [...], "randoms": [...], "scatter": [...]},      distance of the line from the axis
     "axial":  {"edges_mm": [...], "randoms": [...], "scatter": [...]}}      mean z of the two crystals
"""
import json
import math
import os

import numpy as np

import figures
import mice
import phantoms
import scenes
from program import Scan


def lines(scan, fate):
    """Distance from the axis and mean z, in mm, of the prompts of a fate."""
    import h5py
    with h5py.File(scan.listmode) as file:
        chosen = (file["events/kind"][:] == 0) & (file["truth/fate"][:] == fate)
        pair = file["events/element"][:][chosen]
        where = file["scanner/position_mm"][:].astype(float)
    a, b = where[pair[:, 0]], where[pair[:, 1]]
    d = b - a
    along = np.hypot(d[:, 0], d[:, 1])
    return np.abs(a[:, 0] * d[:, 1] - a[:, 1] * d[:, 0]) / np.maximum(along, 1e-9), 0.5 * (a[:, 2] + b[:, 2])


def delayeds_against_randoms(program, result, scan, label):
    """The delayeds are what the estimate starts from; both are Poisson numbers of the same mean unless the simulation is wrong."""
    randoms, delayeds = scan.fates()["randoms"], scan.truth["counts"]["delayeds"]
    off = (delayeds - randoms) / math.sqrt(max(delayeds + randoms, 1))
    result.check(f"{label}: delayeds less randoms, in standard deviations ({delayeds:,} and {randoms:,})", off, 4, "")


def compare(result, label, background, scan, kind, fate):
    """Profiles of an estimate against the true events."""
    estimate, curve = background[kind], {}
    true_total = 0
    for name, values in zip(("radial", "axial"), lines(scan, fate)):
        edges = np.array(background[name]["edges_mm"])
        true = np.histogram(values, edges)[0].astype(float)
        expected = np.array(background[name][kind], float)
        true_total = true.sum()
        # bins of 10,000 events and more at the maximum have a noise of 1 % of it
        worst = np.abs(expected - true).max() / true.max()
        noise = 3 / math.sqrt(true.max())
        if kind == "scatter":
            result.check(f"{label}: {name} profile of scatter, largest difference, % of its maximum", 100 * worst, 5 + round(100 * noise, 1), "%")
        centre = 0.5 * (edges[1:] + edges[:-1])
        curve[name] = [(float(c), float(e / t.max()), 0.0) for c, e, t in zip(centre, expected, [true] * len(expected))]
        result.figures[f"monte-carlo-{label.split()[0].replace(',', '')}-{kind}-{name}"] = figures.curves(
            f"{kind}, {name} profile: {label}", "mm",
            {"estimated": curve[name], "Monte Carlo": [(float(c), float(t / true.max()), float(math.sqrt(t) / true.max())) for c, t in zip(centre, true)]},
            level=0, low=0, high=1.15)
    off = 100 * (estimate / true_total - 1)
    limit = 1 if kind == "randoms" else 5
    result.check(f"{label}: total of {kind}", off, limit + round(300 / math.sqrt(true_total), 1), "%")


def efficiencies(program, result):
    """The mouse PET's normalisation against the efficiencies that the simulation drew (/truth/efficiency, one per crystal)."""
    import h5py
    path = phantoms.normalisation(program, clinical=False)
    if path is None:
        result.remarks.append("This build's simulation has crystals that are all alike, or it cannot normalise: efficiencies not compared.")
        return
    scan = Scan(os.path.join(program.work, "normalisation-mouse"))
    with h5py.File(scan.listmode) as file:
        if "truth/efficiency" not in file:
            result.remarks.append("The list-mode carries no true efficiencies: not compared.")
            return
        true = file["truth/efficiency"][:].astype(float)
    with h5py.File(path) as file:
        found = file["efficiency"][:].astype(float)
    ratio = (found / found.mean()) / (true / true.mean())
    noise = 100 / math.sqrt(2 * scan.fates()["trues"] / len(true))
    result.check(f"efficiencies: rms of estimated over true (counting alone {noise:.2f} %)", 100 * ratio.std(), math.hypot(1, noise), "%")


def run(program):
    result = phantoms.Result("monte-carlo", "Estimates against the Monte Carlo's own events")
    result.setup = ("The events' true fates stand in the list-mode's group /truth, which no reconstruction reads. The estimates are those that the reconstruction writes with "
                    "--write-background: summed over all pairs, by distance of the line from the axis and by mean z.")
    result.counts = "Limits are those of the issue (5 % of the maximum, 1 % of randoms) plus three standard deviations of the Monte Carlo's own counts."
    factor, _ = phantoms.calibration(program)
    mouse = phantoms.simulate(program, "mouse-busy", scenes.mouse("F-18", 20, 6.2, 60))
    delayeds_against_randoms(program, result, mouse, "mouse")
    efficiencies(program, result)
    if not program.takes("recon", "--write-background"):
        result.remarks.append("This build's recon does not write its background: profiles not compared.")
        return result
    import h5py
    with h5py.File(mouse.listmode) as file:
        known = "truth/fate" in file
    if not known:
        result.remarks.append("This build's simulation does not write the events' fates: profiles not compared.")
        return result
    path = os.path.join(program.work, "mouse-busy.background.json")
    settings = {**phantoms.MOUSE_RECON, **mice.GRID, **phantoms.corrections(program, mouse), "calibration-factor": factor, "write-background": path}
    program.reconstruct(mouse, "mouse-busy-background", settings)
    with open(path) as file:
        background = json.load(file)
    for kind, fate in (("randoms", 2), ("scatter", 1)):
        compare(result, "mouse, 20 MBq F-18", background, mouse, kind, fate)
    return result
