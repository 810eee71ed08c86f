# SPDX-License-Identifier: GPL-3.0-or-later
"""A phantom from scan to calibrated image: isotrace recon --ct, isotrace calibrate, isotrace recon --calibration."""

import json
import math
import os
import sys

sys.path.insert(0, os.path.join(os.environ["ISOTRACE_SOURCE_ROOT"], "tests/io"))
from volumes import isotrace, run

F18_BRANCHING, CU64_BRANCHING = 0.9686, 0.1752  # standards.md, DDEP
SCENE = """nuclide: F-18
tracer: water
subject: cylinder
injected_mbq: 20
injection_time: 2026-03-14T09:00:00Z
scan_start_time: 2026-03-14T10:00:00Z
duration_s: 1
seed: 1
physics: {{positron_range: false, acollinearity: false, attenuation: true, randoms: false}}
detector: {{name: {name}, rings: {rings}, crystals_per_ring: 40, radius_mm: 40, ring_spacing_mm: 5, crystal_size_mm: [5, 5, 10],
  attenuation_per_mm: 0.087, energy_resolution_percent: 14, energy_window_kev: [350, 650], photofraction: 0.6,
  time_resolution_ps: 1500, coincidence_window_ns: 4}}
truth_grid: {{size: [20, 20, 16], voxel_mm: [1.5, 1.5, 1.5]}}
organs:
  - {{organ: body, label: 1, density_g_per_ml: 1.0, mu_per_cm: 0.096, percent_id_per_g: 10}}
shapes:
  - {{organ: body, kind: cylinder, centre_mm: [0, 0, 0], half_axes_mm: [10, 10, 9]}}
"""
GRID = ("--grid", "14,14,14", "--voxel", "2,2,2", "--iterations", "2", "--subsets", "2", "--replicates", "2",
        "--sensitivity-cache", "none", "--checkpoint", "none")


def scan(folder, name="small ring", rings=6):
    path = f"{folder}/{name.replace(' ', '_')}.lm.h5"
    with open(folder + "/scene.yaml", "w") as f:
        f.write(SCENE.format(name=name, rings=rings))
    isotrace("simulate", folder + "/scene.yaml", "-q", "-o", path)
    return path


def write_ct(path):
    """The cylinder, 20 x 20 x 18 mm of water, in voxels of 1 mm."""
    import nibabel
    import numpy
    z, y, x = numpy.mgrid[-12:12, -15:15, -15:15] + 0.5
    hu = numpy.where((x * x + y * y < 100) & (abs(z) < 9), 0.0, -1000.0)
    affine = numpy.diag([-1.0, -1.0, 1.0, 1.0])
    affine[:3, 3] = (14.5, 14.5, -11.5)
    nibabel.Nifti1Image(hu.transpose(2, 1, 0).astype("f4"), affine).to_filename(path)


def mean_in_sphere(path, radius_mm):
    import nibabel
    import numpy
    image = nibabel.load(path)
    index = numpy.indices(image.shape[:3]).reshape(3, -1)
    point = image.affine[:3, :3] @ index + image.affine[:3, 3:]
    return numpy.asarray(image.dataobj, float).reshape(-1)[(point ** 2).sum(0) <= radius_mm ** 2].mean()


def test_chain(folder):
    """The phantom's image calibrated by itself has the phantom's concentration; Cu-64 is divided by its branching once"""
    listmode = scan(folder)
    write_ct(folder + "/ct.nii.gz")
    ct = ("--ct", folder + "/ct.nii.gz", "--kvp", "120")
    isotrace("recon", listmode, *GRID, *ct, "--uncalibrated", "-o", folder + "/plain.nii.gz")
    facts = json.load(open(folder + "/plain.json"))["isotrace"]
    assert facts["corrections"]["attenuation"].startswith("CT ct.nii.gz, published table of clinical CT at 120 kV"), facts
    assert len(facts["reconstruction"]["scanner_hash"]) == 64
    out, err = isotrace("calibrate", folder + "/plain.nii.gz", "--activity-mbq", "8", "--volume-ml", "40", "--assay-time",
                        "2026-03-14T09:30:00+01:00", "--uncertainty-percent", "3", "--region", "sphere:0,0,0,6", "-o",
                        folder + "/cal.json")
    cal = json.load(open(folder + "/cal.json"))
    # assayed 5400 s before the scan
    expected = 8e6 / 40 * 2 ** (-5400 / 6584.04)
    mean = mean_in_sphere(folder + "/plain.nii.gz", 6)
    # half a digit of F-18's branching; 5400 s of half a digit of its half-life; sums in float
    assert abs(cal["factor"] / (expected * F18_BRANCHING / mean) - 1) < 1e-4, cal
    assert cal["nuclide"]["name"] == "F-18" and cal["scanner"]["name"] == "small ring" and cal["scan_utc"].startswith("2026-03-14T10:00:00")
    u = cal["uncertainty"]
    assert u["assay"] == 0.03 and abs(u["total"] - math.sqrt(sum(x * x for k, x in u.items() if k != "total"))) < 1e-9
    isotrace("recon", listmode, *GRID, *ct, "--calibration", folder + "/cal.json", "-o", folder + "/full.nii.gz")
    assert abs(mean_in_sphere(folder + "/full.nii.gz", 6) / expected - 1) < 1e-5
    facts = json.load(open(folder + "/full.json"))["isotrace"]
    assert facts["unit"] == "Bq/mL" and facts["calibration_factor"] == cal["factor"] and facts["calibration_uncertainty"] == u["total"]
    assert "phantom of 2026-03-14, F-18" in facts["corrections"]["calibration"], facts
    # Cu-64 by F-18's calibration: the factor is of branching 1
    nuclide = ("--nuclide", "Cu-64")
    isotrace("recon", listmode, *GRID, *ct, *nuclide, "--uncalibrated", "-o", folder + "/cu.nii.gz")
    isotrace("recon", listmode, *GRID, *ct, *nuclide, "--calibration", folder + "/cal.json", "-o", folder + "/cufull.nii.gz")
    ratio = mean_in_sphere(folder + "/cufull.nii.gz", 6) / mean_in_sphere(folder + "/cu.nii.gz", 6)
    assert abs(ratio / (cal["factor"] / CU64_BRANCHING) - 1) < 1e-5
    facts = json.load(open(folder + "/cufull.json"))["isotrace"]
    # F-18's branching uncertainty 0.19 of 96.86 % comes in
    assert abs(facts["calibration_uncertainty"] - math.hypot(u["total"], 0.0019 / 0.9686)) < 1e-5

    def refused(*options, word, source=listmode, code=3):
        out, err = isotrace("recon", source, *GRID, *options, "-o", folder + "/no.nii.gz", code=code)
        assert word in err and not os.path.exists(folder + "/no.nii.gz"), err
    cal_option = ("--calibration", folder + "/cal.json")
    refused(*cal_option, word="attenuation: the phantom's image was corrected for it, this one is not")
    refused(*cal_option, *ct, word="'other ring'", source=scan(folder, "other ring", 5))
    refused(*cal_option, "--calibration-factor", "3", word="contradicts", code=2)
    refused(*cal_option, "--uncalibrated", word="contradicts", code=2)
    refused(*ct, "--mu", folder + "/ct.nii.gz", word="contradicts", code=2)
    refused("--kvp", "120", word="need --ct", code=2)
    refused("--ct", folder + "/ct.nii.gz", "--uncalibrated", word="--kvp")
    refused("--calibration", folder + "/plain.json", *ct, word="this is no calibration")


def test_map(folder):
    """recon --ct and isotrace mu with recon --mu give the same image; attenuation counts"""
    listmode = scan(folder)
    write_ct(folder + "/ct.nii.gz")
    ct = ("--ct", folder + "/ct.nii.gz", "--kvp", "120")
    few = (*GRID, "--uncalibrated", "--replicates", "0")
    isotrace("recon", listmode, *few, *ct, "-o", folder + "/one.nii.gz")
    isotrace("mu", *ct, "-o", folder + "/mu.nii.gz")
    isotrace("recon", listmode, *few, "--mu", folder + "/mu.nii.gz", "-o", folder + "/two.nii.gz")
    isotrace("recon", listmode, *few, "-o", folder + "/none.nii.gz")
    one, two, none = (mean_in_sphere(folder + f"/{name}.nii.gz", 6) for name in ("one", "two", "none"))
    # maps of 2 mm and of 1 mm voxels: the line integrals through 20 mm of water differ by less than half a voxel, 0.5 %
    assert abs(one / two - 1) < 0.005, (one, two)
    # through the middle exp(-0.096 x 2) is lost, from 6 mm aside exp(-0.096 x 1.6): 1.17 to 1.21, longer when oblique
    assert 1.15 < two / none < 1.28, (two, none)


def test_usage(folder):
    """What isotrace calibrate must be told"""
    base = ("calibrate", folder + "/v.nii.gz", "-o", folder + "/c.json")
    phantom = ("--activity-mbq", "8", "--volume-ml", "40", "--assay-time", "2026-03-14T09:30:00Z", "--uncertainty-percent", "3")
    region = ("--region", "sphere:0,0,0,6")
    for options in (region, (*phantom,), (*phantom[:6], *region), (*phantom[:4], *phantom[6:], *region), (*phantom[2:], *region),
                    (*phantom, *region, "--concentration-bq-per-ml", "3"), (*phantom, "--labels", "l.nii.gz"),
                    (*phantom, "--region", "cube:1,2,3"), (*phantom, "--region", "sphere:0,0,0,-6")):
        isotrace(*base, *options, code=2)
    isotrace(*base, *phantom, *region, code=3)  # no such file
    isotrace(*base, *phantom[:4], "--assay-time", "09:30", *phantom[6:], *region, code=3)


run([test_chain, test_map, test_usage], modules=("numpy", "nibabel"))
