# SPDX-License-Identifier: GPL-3.0-or-later
"""The phantoms as scenes. Lengths in mm, LPS+; docs/scene-file.md has the keys."""
import copy
import json
import math
import os
import re

from program import ROOT

WATER, PMMA, AIR = ("water", 1.0, 0.0960), ("PMMA", 1.19, 0.1110), ("air", 0.001205, 0.0001)

# The virtual mouse PET of the sample scenes, whose rule of pairs lets all of a body of 60 mm in. Its crystals lie where point sources want them
# (docs/decisions/058): photons that scatter in LSO end deeper than the 4.28 mm of first interactions, which shrink an image by 0.4 %.
MOUSE_PET = {
    "name": "isotrace virtual mouse PET", "rings": 64, "crystals_per_ring": 196, "radius_mm": 50, "ring_spacing_mm": 1.6,
    "crystal_size_mm": [1.6, 1.6, 10], "mean_depth_mm": 4.5, "attenuation_per_mm": 0.087, "energy_resolution_percent": 14, "energy_window_kev": [350, 650],
    "photofraction": 0.6, "time_resolution_ps": 1500, "coincidence_window_ns": 4, "max_transaxial_offset_mm": 35,
    "max_axial_difference_mm": 32}
# A clinical-like one: 40 rings of 480 crystals of 4 x 4 x 20 mm, bore of 640 mm.
CLINICAL_PET = {
    "name": "isotrace virtual clinical PET", "rings": 40, "crystals_per_ring": 480, "radius_mm": 320, "ring_spacing_mm": 4.2,
    "crystal_size_mm": [4.1, 4.1, 20], "attenuation_per_mm": 0.087, "energy_resolution_percent": 12, "energy_window_kev": [435, 650],
    "photofraction": 0.6, "time_resolution_ps": 500, "coincidence_window_ns": 4, "max_transaxial_offset_mm": 120,
    "max_axial_difference_mm": 100}

# What a build may know beyond the first simulation: (name, where, keys, keys that they replace), in the order in which each needs the ones
# before it. Each is switched on where the program takes it.
EFFECTS = [
    ("blocks", "detector", {"block_crystals": [7, 8]}, ()),
    ("dead time", "electronics", {"dead_time_model": "non_paralyzable", "dead_time_ns": 100}, ()),
    ("efficiency spread", "electronics", {"efficiency_spread_percent": 10, "efficiency_seed": 7}, ()),  # the same crystals in all scans
    ("crystals with cross-sections", "detector", {"crystal_material": "LSO"}, ("photofraction", "attenuation_per_mm")),
    ("scatter in the body", "physics", {"scatter": True}, ()),
    ("prompt gammas", "physics", {"prompt_gammas": True}, ()),
]


class Scene:
    def __init__(self, detector, nuclide="F-18", injected_mbq=1.0, duration_s=60.0, seed=1, wait_s=0.0):
        self.facts = {"nuclide": nuclide, "tracer": "validation", "subject": "phantom", "injected_mbq": injected_mbq}
        self.duration_s, self.seed, self.wait_s = duration_s, seed, wait_s
        self.physics = {"positron_range": True, "acollinearity": True, "attenuation": True, "randoms": True}
        self.detector = copy.deepcopy(detector)
        self.electronics = {}
        self.organs, self.shapes, self.grid = [], [], {"size": [76, 76, 160], "voxel_mm": [0.5, 0.5, 0.5]}
        self.materials = False
        self.fewer = "duration"  # what a share below 1 takes from; "parts": a part of a scan, of which there are fewer

    def organ(self, name, material, uptake):
        """Uptake in %ID/g, or a list of (%ID/g, half-life in s or None)."""
        kind, density, mu = material
        row = {"organ": name, "label": len(self.organs) + 1, "density_g_per_ml": density, "mu_per_cm": mu, "kind": kind}
        if isinstance(uptake, list):
            row["time_course"] = [{"percent_id_per_g": a, **({"half_life_s": t} if t else {})} for a, t in uptake]
        else:
            row["percent_id_per_g"] = uptake
        self.organs.append(row)

    def cylinder(self, organ, centre, radius, length):
        self.shapes.append({"organ": organ, "kind": "cylinder", "centre_mm": list(centre), "half_axes_mm": [radius, radius, length / 2]})

    def ball(self, organ, centre, radius):
        self.shapes.append({"organ": organ, "kind": "ellipsoid", "centre_mm": list(centre), "half_axes_mm": [radius] * 3})

    def text(self, share=1.0):
        """YAML whose values are JSON."""
        clock = lambda s: f"2026-03-{14 + int(s // 86400):02}T{9 + int(s % 86400 // 3600):02}:{int(s % 3600 // 60):02}:{int(s % 60):02}Z"
        organs = []
        for row in self.organs:
            row = dict(row)
            kind = row.pop("kind")
            if self.materials and kind:
                row["material"] = kind
                del row["mu_per_cm"]
            organs.append(row)
        facts, duration_s = dict(self.facts), self.duration_s
        if self.fewer == "duration":
            duration_s = max(duration_s * share, 0.002)
        elif self.fewer == "activity":
            facts["injected_mbq"] *= share
        rows = dict(facts, injection_time=clock(0), scan_start_time=clock(self.wait_s), duration_s=duration_s, seed=self.seed, physics=self.physics, detector=self.detector, truth_grid=self.grid)
        lines = [f"{key}: {json.dumps(value)}" for key, value in rows.items()]
        if self.electronics:
            # rates of singles follow the activity; scans of milliseconds would otherwise have one interval that is longer than they are
            lines.append(f"electronics: {json.dumps({**self.electronics, 'singles_interval_s': max(duration_s / 20, 1e-5)})}")
        for key, values in (("organs", organs), ("shapes", self.shapes)):
            lines += [f"{key}:"] + [f"  - {json.dumps(value)}" for value in values]
        return "\n".join(lines) + "\n"


def switch_on(scene, where, keys, replaced):
    target = getattr(scene, where)
    target.update(keys)
    for key in replaced:
        target.pop(key, None)
    if "block_crystals" in keys and scene.detector["radius_mm"] > 100:
        target["block_crystals"] = [8, 8]  # 480 crystals are no multiple of 7


def equip(program, scene, without=()):
    """Switches on all effects that this build simulates; the names of those that it does not are returned."""
    lacking, probe = [], uniform_cylinder(MOUSE_PET, 10, 20)
    for name, *effect in EFFECTS:
        trial = copy.deepcopy(probe)
        switch_on(trial, *effect)
        if not program.understands(name, trial):
            lacking.append(name)
            continue
        probe = trial
        if name not in without:
            switch_on(scene, *effect)
    probe.materials = True
    scene.materials = program.understands("materials", probe)
    return lacking if scene.materials else lacking + ["materials"]


def uniform_cylinder(detector, diameter, length, mbq=1.0, duration_s=1.0, seed=1, nuclide="F-18", beside_mm=0):
    """beside_mm: of the axis, along x."""
    scene = Scene(detector, nuclide, mbq, duration_s, seed)
    mass_g = math.pi * diameter**2 / 4 * length / 1000
    scene.organ("cylinder", WATER, 100 / mass_g)
    scene.cylinder("cylinder", (beside_mm, 0, 0), diameter / 2, length)
    edge = diameter / 60
    scene.grid = {"size": [66, 66, math.ceil(length / edge) + 6], "voxel_mm": [edge] * 3, **({"centre_mm": [beside_mm, 0, 0]} if beside_mm else {})}
    return scene


def half_cold_body(seed):
    """For the scatter estimate alone: 30 mm of water of which one half along the axis is cold, an organ of nine times the activity beside the axis, and a
    small source in the cold half, 27 mm from the middle."""
    scene = Scene(MOUSE_PET, "Zr-89", 10, 25, seed)
    scene.organ("warm", WATER, 1.9)
    scene.organ("cold", WATER, 0.0)
    scene.organ("hot", WATER, 17.1)
    scene.organ("far", WATER, 17.1)
    scene.cylinder("warm", (0, 0, -17.5), 15, 35)
    scene.cylinder("cold", (0, 0, 17.5), 15, 35)
    scene.ball("hot", (7, 4, -12), 6)
    scene.ball("far", (-6, 0, 27), 4)
    scene.grid = {"size": [66, 66, 146], "voxel_mm": [0.5] * 3}
    return scene


# NEMA NU 4-2008, section 6: a body of PMMA of 33.5 x 63 mm with 50 mm inside: 20 mm solid with five rods to fill, 30 mm of hot
# water in which, from the lid, two chambers of 15 mm hang, 8 mm inside, walls of 1 mm.
RODS = [(d, (7 * math.cos(math.radians(72 * n)), 7 * math.sin(math.radians(72 * n)))) for n, d in enumerate((5, 4, 3, 2, 1))]
COLD = {"water": (-7.5, 0.0), "air": (7.5, 0.0)}
IQ_UNIFORM, IQ_RODS, IQ_COLD = (-2.5, 7.5), (-20.0, -10.0), (14.25, 21.75)  # z of the standard's regions


def image_quality(duration_s, seed=1, wait_s=0.0):
    scene = Scene(MOUSE_PET, "F-18", 3.7, duration_s, seed, wait_s)
    scene.fewer = "parts"
    hot_ml = (math.pi * 15**2 * 30 - 2 * math.pi * 5**2 * 15 + sum(math.pi * d * d / 4 * 20 for d, _ in RODS)) / 1000
    scene.organ("body", PMMA, 0.0)
    scene.organ("hot", WATER, 100 / hot_ml)
    scene.organ("cold", WATER, 0.0)
    scene.organ("air", AIR, 0.0)
    scene.cylinder("body", (0, 0, 0), 16.75, 63)
    scene.cylinder("hot", (0, 0, 10), 15, 30)
    for diameter, (x, y) in RODS:
        scene.cylinder("hot", (x, y, -15), diameter / 2, 20)
    for x, y in COLD.values():
        scene.cylinder("body", (x, y, 17.5), 5, 15)
    scene.cylinder("cold", (*COLD["water"], 18), 4, 14)
    scene.cylinder("air", (*COLD["air"], 18), 4, 14)
    scene.grid = {"size": [72, 72, 136], "voxel_mm": [0.5] * 3}
    return scene


def point_source(position, mbq, duration_s, seed):
    """A source of 0.3 mm in acrylic of 10 mm. The standard has a cube; a cylinder of that width attenuates alike."""
    scene = Scene(MOUSE_PET, "F-18", mbq, duration_s, seed)
    scene.organ("acrylic", PMMA, 0.0)
    scene.organ("source", WATER, 100 / (4 / 3 * math.pi * 0.15**3 / 1000))
    scene.cylinder("acrylic", position, 5, 10)
    scene.ball("source", position, 0.15)
    scene.grid = {"size": [30, 30, 30], "voxel_mm": [0.5] * 3, "centre_mm": list(position)}
    return scene


def line_source(position, mbq, duration_s, seed):
    """A line of 0.3 mm along the axis, 60 mm long, in a rod of acrylic."""
    scene = Scene(MOUSE_PET, "F-18", mbq, duration_s, seed)
    scene.organ("acrylic", PMMA, 0.0)
    scene.organ("source", WATER, 100 / (math.pi * 0.15**2 * 60 / 1000))
    scene.cylinder("acrylic", position, 5, 62)
    scene.cylinder("source", position, 0.15, 60)
    scene.grid = {"size": [30, 30, 140], "voxel_mm": [0.5] * 3, "centre_mm": list(position)}
    return scene


# %ID/g with which every organ of the mouse has enough counts for its limit; the sample scene's brain (0.3) would take 50 times as many.
MOUSE_UPTAKE = {"carcass": 1.5, "heart": 5, "lungs": 3, "liver": 9, "spleen": 9, "kidneys": 7, "stomach": 4, "bladder": 8, "brain": 3,
                "bone": 2.5, "muscle": 1.5, "tumour": 5}
MATERIALS = {"lungs": "lung", "bone": None}  # bone of 1.40 g/mL is no material of the library: water of its mu


def mouse(nuclide, injected_mbq, duration_s, seed, wait_s=0.0, uptake=None):
    """The body of sample_data/mouse.scene.yaml in this page's scanner."""
    scene = Scene(MOUSE_PET, nuclide, injected_mbq, duration_s, seed, wait_s)
    with open(os.path.join(ROOT, "sample_data", "mouse.scene.yaml")) as file:
        text = file.read()
    for row in re.findall(r"^\s+- \{(organ: \w+, label.*?)\}", text, re.M):
        keys = dict(part.split(": ") for part in row.split(", "))
        name = keys["organ"]
        scene.organ(name, (MATERIALS.get(name, "soft tissue"), float(keys["density_g_per_ml"]), float(keys["mu_per_cm"])),
                    (uptake or MOUSE_UPTAKE)[name])
        scene.organs[-1]["label"] = int(keys["label"])
    for organ, kind, centre, axes in re.findall(
            r"^\s+- \{organ: (\w+), kind: (\w+), centre_mm: (\[.*?\]), half_axes_mm: (\[.*?\])\}", text, re.M):
        scene.shapes.append({"organ": organ, "kind": kind, "centre_mm": json.loads(centre), "half_axes_mm": json.loads(axes)})
    # As fine as a micro-CT: a lung's border that mu blurs by 0.5 mm costs 8 % of its activity with Ga-68 (docs/decisions/064).
    scene.grid = {"size": [190, 150, 450], "voxel_mm": [0.2] * 3, "centre_mm": [0, 0, 2]}
    return scene


# Blood (the heart's) falls with half-lives of 20 s and 10 min; liver and tumour fill, the kidneys wash out.
COURSES = {"heart": [(40, 20), (12, 600)], "liver": [(10, None), (-9, 60)], "kidneys": [(6, None), (14, 90), (-18, 15)],
           "tumour": [(5, None), (-5, 120)]}


def dynamic_mouse(injected_mbq, duration_s, seed):
    scene = mouse("F-18", injected_mbq, duration_s, seed, uptake={**MOUSE_UPTAKE, **COURSES})
    scene.fewer = "activity"
    return scene
