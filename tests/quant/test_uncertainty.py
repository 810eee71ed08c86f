# SPDX-License-Identifier: GPL-3.0-or-later
"""The uncertainties in biodistribution.csv against the spread of the results when the inputs are perturbed, in numpy alone."""

import csv
import json
import math
import os
import sys

sys.path.insert(0, os.path.join(os.environ["ISOTRACE_SOURCE_ROOT"], "tests/io"))
from volumes import isotrace, run, write_volume

VOXEL_MM = (0.5, 0.4, 0.6)
ORIGIN_MM = (-3.0, 2.0, 40.0)
T, U_T = 3.97 * 3600, 0.04 * 3600  # of Sc-44, docs/nuclides.md
BRANCHING, U_BRANCHING = 0.9427, 0.0005
FRAME_S = 600.0
READ_S, RESIDUE_S, WAIT_S = 6 * 3600.0, 1800.0, 8 * 3600.0  # readings before and after the injection, injection to scan
BEFORE_BQ, AFTER_BQ, U_DOSE = 5e7, 1e6, 0.02
BODY_G, U_BODY_G = 20.0, 0.8
CALIBRATION_U = 0.03
DENSITY, U_DENSITY = 1.05, 0.03
WEIGHED_G, U_WEIGHED_G = 4.5, 0.12
REPLICATES = (0.97, 1.02, 1.03, 0.98)
# label -> where it is, [k][j][i]; the liver is hot in the cold, the spleen cold in the hot.
ORGANS = {1: (slice(4, 34), slice(5, 51), slice(7, 57)), 2: (slice(42, 67), slice(8, 48), slice(12, 52))}


def phantom():
    """Bq/mL and labels, [k][j][i]; no organ is even."""
    import numpy
    k, j, i = numpy.mgrid[0:72, 0:56, 0:64]
    values = numpy.where(k < 38, 100.0, 900.0)
    labels = numpy.zeros(values.shape)
    for label, (place, level) in enumerate(zip(ORGANS.values(), (1000.0, 400.0)), 1):
        values[place] = level * (1 + 0.004 * i[place] - 0.002 * j[place])
        labels[place] = label
    return values.astype("float32"), labels


def write_inputs(folder, table, dose):
    import nibabel
    import numpy
    values, labels = phantom()
    affine = numpy.diag([-VOXEL_MM[0], -VOXEL_MM[1], VOXEL_MM[2], 1.0])
    affine[:3, 3] = [-ORIGIN_MM[0], -ORIGIN_MM[1], ORIGIN_MM[2]]

    def change(sidecar):
        sidecar["isotrace"].update(replicates=len(REPLICATES), calibration_uncertainty=CALIBRATION_U,
                                   branching_fraction=BRANCHING)

    write_volume(folder + "/v.nii.gz", values[None], VOXEL_MM, ORIGIN_MM, ((0, FRAME_S),), "Sc-44", T, change)
    replicates = numpy.stack([(values * f).transpose(2, 1, 0) for f in REPLICATES], -1)
    for name, data in (("v_replicates", replicates.astype("float32")), ("organs", labels.transpose(2, 1, 0).astype("uint8"))):
        image = nibabel.Nifti1Image(data, affine)
        image.set_qform(affine, 1)
        image.set_sform(affine, 1)
        image.to_filename(f"{folder}/{name}.nii.gz")
    with open(folder + "/organs.csv", "w") as f:
        f.write(table)
    with open(folder + "/dose.yaml", "w") as f:
        f.write(f"nuclide: Sc-44\nsyringe_before: {{activity_bq: {BEFORE_BQ}, time: 2026-03-14T09:50:00Z}}\n"
                f"syringe_after: {{activity_bq: {AFTER_BQ}, time: 2026-03-14T16:20:00Z}}\n"
                f"injection_time: 2026-03-14T15:50:00Z\nrelative_uncertainty_percent: {100 * U_DOSE}\n{dose}")


def quantify(folder, table, dose):
    """Rows of the table by organ (None: empty), and the warnings in one text."""
    write_inputs(folder, table, dose)
    isotrace("quant", folder + "/v.nii.gz", "--organs", folder + "/organs.nii.gz", "--dose", folder + "/dose.yaml", "-q", "-o",
             folder + "/out")
    with open(folder + "/out/biodistribution.csv", newline="") as f:
        rows = {r["organ"]: {c: None if v == "" else float(v) for c, v in r.items()
                             if c.startswith("u_") or c in COLUMNS or c == "degrees_of_freedom"} for r in csv.DictReader(f)}
    with open(folder + "/out/biodistribution.json") as f:
        subject = json.load(f)["subjects"][0]
    for organ in subject["frames"][0]["organs"]:
        for column, value in rows[organ["organ"]].items():
            # Nine digits there, twelve here.
            assert value == organ[column] or abs(value - organ[column]) <= 1e-8 * abs(value), column
    return rows, " ".join(subject["warnings"])


# The numbers and their uncertainties.
COLUMNS = {"volume_ml": "u_total_volume", "mass_g": "u_total_mass", "activity_bq": "u_total_activity",
           "concentration_bq_per_ml": "u_total_concentration", "percent_id": "u_total_percent_id",
           "percent_id_per_g": "u_total", "suv_bw": "u_total_suv_bw"}
FULL_TABLE = ("label,organ,density_g_per_ml,density_uncertainty_g_per_ml,mass_g,mass_uncertainty_g\n"
              f"1,liver,{DENSITY},{U_DENSITY},,\n2,spleen,1,0.1,{WEIGHED_G},{U_WEIGHED_G}\n")
FULL_DOSE = f"body_mass_g: {BODY_G}\nbody_mass_uncertainty_g: {U_BODY_G}\n"


def boundary_concentration(values, inside):
    """Mean over all faces between a voxel of the organ and one that is not, by area."""
    import numpy
    weights = total = 0
    for axis, area in ((0, VOXEL_MM[0] * VOXEL_MM[1]), (1, VOXEL_MM[0] * VOXEL_MM[2]), (2, VOXEL_MM[1] * VOXEL_MM[2])):
        crossed = numpy.diff(inside, axis=axis) != 0
        upper, lower = (numpy.moveaxis(values, axis, 0)[s].astype(float) for s in (slice(1, None), slice(None, -1)))
        faces = numpy.moveaxis(crossed, axis, 0)
        weights += area * faces.sum()
        total += area * (0.5 * (upper + lower))[faces].sum()
    return total / weights


def draws(label, number, seed):
    """What the table would say if each input were what it is or something else within its uncertainty. The boundary's voxels are
    wrong by a common part of themselves, evenly between -1/2 and 1/2; the half-life is that of the readings, the frame and
    the wait at once."""
    import numpy
    random = numpy.random.default_rng(seed)

    def about(u):
        return 1 + u * random.standard_normal(number) if number > 1 else numpy.ones(1)

    values, labels = phantom()
    inside = (labels == label).astype(int)
    voxel_ml = math.prod(VOXEL_MM) / 1000
    volume, sum_bq = inside.sum() * voxel_ml, values[inside == 1].sum(dtype=float) * voxel_ml
    size = [s.stop - s.start for s in ORGANS[label]]
    shell = volume * (1 - math.prod(s - 2 for s in size) / math.prod(size))
    off = (random.random(number) - 0.5) if number > 1 else numpy.zeros(1)
    counted = sum_bq + boundary_concentration(values, inside) * shell * off
    volume_ml = volume + shell * off
    rate = math.log(2) / (T * about(U_T / T))

    def in_frame(r):
        return r * FRAME_S / (1 - numpy.exp(-r * FRAME_S))

    noise = numpy.std(REPLICATES, ddof=1) / math.sqrt(len(REPLICATES))
    activity = counted * about(noise) * about(CALIBRATION_U) / about(U_BRANCHING / BRANCHING) * \
        in_frame(rate) / in_frame(math.log(2) / T) * numpy.exp(rate * WAIT_S)
    injected = (BEFORE_BQ * numpy.exp(-rate * READ_S) - AFTER_BQ * numpy.exp(rate * RESIDUE_S)) * about(U_DOSE)
    mass = volume_ml * DENSITY * about(U_DENSITY / DENSITY) if label == 1 else WEIGHED_G * about(U_WEIGHED_G / WEIGHED_G)
    return {"volume_ml": volume_ml, "mass_g": mass, "activity_bq": activity, "concentration_bq_per_ml": activity / volume_ml,
            "percent_id": 100 * activity / injected, "percent_id_per_g": 100 * activity / injected / mass,
            "suv_bw": activity / volume_ml * BODY_G * about(U_BODY_G / BODY_G) / injected}


def test_perturbed(folder):
    """Volume, mass, activity, concentration, %ID, %ID/g and SUVbw spread as the table says when the inputs are perturbed"""
    import numpy
    rows, warnings = quantify(folder, FULL_TABLE, FULL_DOSE)
    assert "not known" not in warnings, warnings
    for label, organ in ((1, "liver"), (2, "spleen")):
        row, exact, many = rows[organ], draws(label, 1, 0), draws(label, 200000, label)
        for column, u in COLUMNS.items():
            # The numbers themselves: float32 voxels, nine digits; clocks to 2e-7 s.
            assert abs(row[column] / exact[column][0] - 1) < 1e-6, (organ, column, row[column], exact[column])
            spread = numpy.std(many[column]) / exact[column][0]
            print(f"# {organ} {column}: spread {100 * spread:.3f} %, table {100 * row[u]:.3f} %")
            # 4 standard deviations of a spread of 200,000 draws are 0.63 %. What the first order leaves out: the shell is up to
            # x = 0.17 of the volume, and 1 / (1 + x a) with a even within 1/2 spreads by 2 x^2 <a^4> / <a^2> = 0.3 x^2 = 0.9 %
            # more; relative errors of 3 % in a denominator by another 3 u^2 = 0.3 %.
            assert abs(row[u] / spread - 1) < 0.018, (organ, column, row[u], spread)
    # What is common to two numbers of a row falls out of their quotient, and adds in their product.
    liver, many = rows["liver"], draws(1, 200000, 3)
    quotient, product = many["suv_bw"] / many["percent_id_per_g"], many["concentration_bq_per_ml"] * many["volume_ml"]
    for got, expected in ((quotient, math.hypot(liver["u_density"], liver["u_body_mass"])), (product, liver["u_total_activity"])):
        assert abs(numpy.std(got) / numpy.mean(got) / expected - 1) < 0.018
    for row in rows.values():
        assert abs(row["degrees_of_freedom"] * (row["u_counting"] / row["u_total"]) ** 4 - 3) < 1e-6


def test_not_known(folder):
    """What is not known is empty and named, and never zero: density, balance, body mass, its uncertainty"""
    def quadrature(row, *components):
        return math.sqrt(sum(row[c] ** 2 for c in components))

    shared = ("u_counting", "u_calibration", "u_branching", "u_injected", "u_half_life", "u_volume_concentration")
    full, _ = quantify(folder, FULL_TABLE, FULL_DOSE)
    rows, warnings = quantify(folder, f"label,organ,density_g_per_ml,mass_g\n1,liver,{DENSITY},\n2,spleen,1,{WEIGHED_G}\n",
                              f"body_mass_g: {BODY_G}\n")
    for word in ("density", "weighed mass", "body mass"):
        assert word in warnings, warnings
    for row in rows.values():
        assert row["u_total_mass"] is None and row["u_body_mass"] is None and row["u_total_volume"] > 0.03
        # nine digits of each
        assert abs(row["u_total_suv_bw"] - quadrature(row, *shared)) < 1e-8
    assert rows["liver"]["u_density"] is None and rows["spleen"]["u_mass"] is None
    for organ, row in rows.items():  # none of it concerns these
        for column in ("u_total_volume", "u_total_activity", "u_total_concentration", "u_total_percent_id"):
            assert row[column] == full[organ][column]
    rows, warnings = quantify(folder, FULL_TABLE, "")
    assert "not known" not in warnings, warnings
    for row in rows.values():
        assert row["suv_bw"] is None and row["u_total_suv_bw"] is None and row["u_total_mass"] > 0


run([test_perturbed, test_not_known], modules=("numpy", "nibabel"))
