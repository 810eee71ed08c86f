# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes and what is measured in them."""
import json
import math

import numpy as np


class Volume:
    """voxels[x, y, z, frame or replicate] with coordinates in LPS mm."""

    def __init__(self, base, replicates=False):
        import nibabel
        image = nibabel.load(base + ("_replicates.nii.gz" if replicates else ".nii.gz"))
        self.voxels = np.asarray(image.dataobj, dtype=np.float64)
        if self.voxels.ndim == 3:
            self.voxels = self.voxels[..., None]
        a = image.affine
        axis = lambda n, sign: sign * (a[n, n] * np.arange(self.voxels.shape[n]) + a[n, 3])
        self.x, self.y, self.z = axis(0, -1), axis(1, -1), axis(2, 1)
        self.edge_mm = np.abs(np.diag(a)[:3])

    def cylinder(self, centre, radius, low, high):
        """Mask of the voxels whose centres lie in a cylinder along z."""
        across = (self.x[:, None] - centre[0])**2 + (self.y[None, :] - centre[1])**2 <= radius**2
        along = (self.z >= low) & (self.z <= high)
        return across[:, :, None] & along[None, None, :]

    def mean(self, mask, frame=0):
        return self.voxels[..., frame][mask].mean()

    def means(self, mask):
        return self.voxels[mask].mean(axis=0)


def sidecar(base):
    with open(base + ".json") as file:
        return json.load(file)


def relative_sd(values):
    """Of the mean over replicates."""
    return np.std(values, ddof=1) / math.sqrt(len(values)) / np.mean(values)


def response(volume, position, reach_mm):
    """NEMA NU 4's three response functions through a point source: (offsets in mm, sums) along x, y and z; each adds up the
    profiles within reach_mm of the peak in the two other directions."""
    image = volume.voxels[..., 0]
    axes = (volume.x, volume.y, volume.z)
    near = np.ix_(*[np.abs(axes[a] - position[a]) <= 6 for a in range(3)])
    part = [axes[a][np.abs(axes[a] - position[a]) <= 6] for a in range(3)]
    cut = image[near]
    peak = np.unravel_index(cut.argmax(), cut.shape)
    out = []
    for a in range(3):
        keep = [np.abs(part[b] - part[b][peak[b]]) <= reach_mm if b != a else np.ones(len(part[b]), bool) for b in range(3)]
        sums = cut[np.ix_(*keep)].sum(axis=tuple(b for b in range(3) if b != a))
        order = np.argsort(part[a])
        out.append((part[a][order], sums[order]))
    return out


def widths(at, profile):
    """(position of the maximum, FWHM, FWTM): the maximum from a parabola through the largest value and its neighbours, the widths by
    linear interpolation (NEMA NU 4-2008, 3.4)."""
    n = int(np.clip(profile.argmax(), 1, len(profile) - 2))
    left, middle, right = profile[n - 1:n + 2]
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend else 0.0
    top = middle - 0.25 * (left - right) * shift

    def crossing(level, step):
        m = n
        while 0 < m < len(profile) - 1 and profile[m + step] > level:
            m += step
        if not 0 <= m + step < len(profile):
            return math.nan
        f = (profile[m] - level) / (profile[m] - profile[m + step])
        return at[m] + f * (at[m + step] - at[m])

    spread = [crossing(share * top, 1) - crossing(share * top, -1) for share in (0.5, 0.1)]
    return at[n] + shift * (at[1] - at[0]), *spread


def centroid(volume, position, reach_mm):
    """Centre of mass of what lies within reach_mm of a point."""
    x, y, z = np.meshgrid(volume.x, volume.y, volume.z, indexing="ij")
    near = (x - position[0])**2 + (y - position[1])**2 + (z - position[2])**2 <= reach_mm**2
    weight = volume.voxels[..., 0][near]
    return [float((axis[near] * weight).sum() / weight.sum()) for axis in (x, y, z)]
