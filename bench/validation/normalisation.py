# SPDX-License-Identifier: GPL-3.0-or-later
"""Crystal efficiencies from a norm scan against those that the simulation drew (/truth/efficiency, one per crystal)."""
import math

import numpy as np

import phantoms
import scenes

# Eight modules of the mouse PET, the same crystals in the same blocks, in a ring as narrow as they can stand. 10,000 counts per crystal know an efficiency
# to 1 %: 2.2 million prompts for these 448, 63 million for the mouse PET's 12,544. Three minutes of processor time (docs/decisions/040).
BLOCKS, RINGS, PLACES = 8, 8, 7
EIGHT_MODULES = {**scenes.MOUSE_PET, "name": "isotrace eight modules", "rings": RINGS, "crystals_per_ring": BLOCKS * PLACES, "radius_mm": 14.3,
                 "max_transaxial_offset_mm": 10, "max_axial_difference_mm": 12.8}
RADIUS_MM, LENGTH_MM = 8, 10  # shorter than the ring: all decays lie where both photons can hit
SPREAD_PERCENT = 12
LIMIT_PERCENT = 1


def spread_of_ratio(found, true):
    """(rms, rms of what all blocks share, its range by ring) of found over true, the first two in %. What a block does with photons that scatter within it (crystals at its edges are
    given fewer of them), and what the ends of the ring see, is part of an efficiency, and not of the number that is drawn. All blocks are alike in that:
    their mean is taken out, and with it one of eight degrees of freedom."""
    ratio = (found / true / (found / true).mean()).reshape(RINGS, BLOCKS, PLACES)
    pattern = ratio.mean(axis=1, keepdims=True)
    return 100 * (ratio / pattern).std() * math.sqrt(BLOCKS / (BLOCKS - 1)), 100 * pattern.std(), (pattern.mean(axis=2).min(), pattern.mean(axis=2).max())


def run(program):
    import h5py
    result = phantoms.Result("normalisation", "Crystal efficiencies")
    result.setup = (f"{RINGS * BLOCKS * PLACES} crystals: eight of the mouse PET's modules in a ring of {2 * EIGHT_MODULES['radius_mm']:g} mm, all effects of the simulation on "
                    f"(scatter and attenuation in the source, scatter within and penetration of the crystals, dead time, randoms). Water with F-18, {2 * RADIUS_MM} mm wide and "
                    f"{LENGTH_MM} mm long, `isotrace normalise --source cylinder --mu water`. Efficiencies spread by {SPREAD_PERCENT} %. What all blocks share is taken out.")
    result.counts = ("More than 10,000 per crystal: counting alone leaves less than 1 %. The noise that is told is the rms of the uncertainties in the normalisation's file; with 392 degrees "
                     "of freedom the rms is known to 3.6 % of itself.")
    scene = scenes.uniform_cylinder(EIGHT_MODULES, 2 * RADIUS_MM, LENGTH_MM, 2, 150, seed=71)
    if "efficiency spread" in scenes.equip(program, scene) or not program.options("normalise"):
        result.remarks.append("This build's simulation has crystals that are all alike, or it cannot normalise: efficiencies not compared.")
        return result
    scene.electronics["efficiency_spread_percent"] = SPREAD_PERCENT
    scan = program.simulate("normalisation-modules", scene)
    path = program.normalise(scan, "normalisation-modules",
                             ["--source", "cylinder", "--radius", str(RADIUS_MM), "--length", str(LENGTH_MM), "--mu", "water"])
    with h5py.File(scan.listmode) as file:
        true = file["truth/efficiency"][:].astype(float)
        prompts = 2 * int((file["events/kind"][:] == 0).sum()) / len(true)
    with h5py.File(path) as file:
        found, uncertainty = file["efficiency"][:].astype(float), file["uncertainty"][:].astype(float)
    rms, shared, (least, most) = spread_of_ratio(found, true)
    noise = 100 * math.sqrt((uncertainty**2).mean())
    # with a share of the counts the limit is their noise, and three standard deviations of its rms
    limit = LIMIT_PERCENT if program.share == 1 else max(LIMIT_PERCENT, round(1.11 * noise, 2))
    result.check(f"efficiencies of {len(true)} crystals, {prompts:,.0f} counts each: rms of estimated over true (counting alone {noise:.2f} %)", rms, limit, "%")
    result.table(["", ""], [["spread of the true efficiencies", f"{100 * true.std() / true.mean():.1f} %"], ["rms of estimated over true", f"{rms:.2f} %"],
                            ["expected from counting", f"{noise:.2f} %"],
                            ["what all blocks share, taken out", f"{shared:.1f} % rms, most of it the open ends of so narrow a ring: {least:.2f} to {most:.2f} by ring"], *([f"prompts: {fate}", f"{n:,}"] for fate, n in scan.fates().items())])
    return result
