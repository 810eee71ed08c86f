# SPDX-License-Identifier: GPL-3.0-or-later
"""isotrace recon from a file to a file: a point source in a small SAFIR-like scanner, written here byte by byte."""
import glob
import json
import math
import os
import random
import struct
import subprocess
import tempfile

import h5py
import nibabel
import numpy

number = 0


def check(name, ok, note=''):
    global number
    number += 1
    if not ok and note:
        print('#', str(note).strip().replace('\n', '\n# '))
    print(f"{'ok' if ok else 'not ok'} {number} - recon-cli: {name}")


folder = tempfile.mkdtemp(prefix='isotrace-recon-')
os.chdir(folder)
RINGS, DETS, RADIUS, POINT = 12, 48, 40.0, (6.0, -3.0)
angle = [2 * math.pi * d / DETS for d in range(DETS)]
with open('map.txt', 'w') as f:
    f.write('#ring\tdet\tx\ty\tz\n')
    for r in range(RINGS):
        for d in range(DETS):
            f.write(f'{r}\t{d}\t{RADIUS * math.cos(angle[d]):.4f}\t{RADIUS * math.sin(angle[d]):.4f}\t{4 * r - 22}\n')


def write_events(name, events, delayeds, duration_ms=1000):
    """A point source at POINT: a crystal at random, the opposite one on the line through the point."""
    draw = random.Random(1)
    words = []
    for n in range(events):
        a, r = draw.randrange(DETS), draw.randrange(RINGS)
        dx, dy = POINT[0] - RADIUS * math.cos(angle[a]), POINT[1] - RADIUS * math.sin(angle[a])
        t = -2 * (RADIUS * math.cos(angle[a]) * dx + RADIUS * math.sin(angle[a]) * dy) / (dx * dx + dy * dy)
        b = round(math.atan2(RADIUS * math.sin(angle[a]) + t * dy, RADIUS * math.cos(angle[a]) + t * dx) / (2 * math.pi) * DETS) % DETS
        words.append(r | r << 8 | a << 16 | b << 32)
    for n in range(delayeds):
        a = draw.randrange(DETS)
        b = (a + DETS // 2 + draw.randrange(-8, 9)) % DETS
        words.append(draw.randrange(RINGS) | draw.randrange(RINGS) << 8 | a << 16 | b << 32 | 1 << 62)
    draw.shuffle(words)
    with open(name, 'wb') as f:
        f.write(b'SAFIR CListModeData'.ljust(32, b'\0'))
        for ms in range(duration_ms + 1):
            f.write(struct.pack('<Q', 1 << 63 | ms))
            for word in words[len(words) * ms // (duration_ms + 1):len(words) * (ms + 1) // (duration_ms + 1)]:
                f.write(struct.pack('<Q', word))


write_events('point.clm.safir', 6000, 300)
write_events('clean.clm.safir', 500, 0)


def recon(source, output, *options):
    return subprocess.run([os.environ['ISOTRACE'], 'recon', source, '--crystal-map', 'map.txt', '-o', output, *options],
                          capture_output=True, text=True)


grid = ('--grid', '24,24,12', '--voxel', '2,2,4', '--sensitivity-cache', 'none')
fast = grid + ('--iterations', '2', '--subsets', '2', '--replicates', '0')
done = recon('point.clm.safir', 'a.nii.gz', *grid, '--iterations', '8', '--subsets', '1', '--replicates', '2', '--uncalibrated',
             '--json', '--nuclide', 'f18', '--post-filter', 'gaussian:2')
check('reconstructs', done.returncode == 0, done.stderr)
report = json.loads(done.stdout) if done.returncode == 0 else {}
check('every prompt is used', report.get('prompts') == 6000 and report.get('delayeds') == 300, report)
check('says its unit', report.get('unit') == 'counts/s/mm (uncalibrated)', report)
corrections = report.get('corrections', {})
check('says what was corrected', all(corrections.get(k) for k in ('randoms', 'decay', 'normalisation', 'post_filter')) and
      not any(corrections.get(k) for k in ('scatter', 'attenuation', 'calibration', 'branching', 'dead_time')), corrections)
image = nibabel.load('a.nii.gz')
voxels = numpy.asarray(image.dataobj)
i, j, k = numpy.unravel_index(numpy.argmax(voxels), voxels.shape)
ras = image.affine @ (i, j, k, 1)
# crystals 5.2 mm apart: the peak within half of that
check('the peak is at the point', abs(-ras[0] - POINT[0]) < 2.6 and abs(-ras[1] - POINT[1]) < 2.6, ras)
sidecar = json.load(open('a.json'))
check('sidecar and replicates are there', os.path.exists('a_replicates.nii.gz') and 'FrameDuration' in sidecar)

one = recon('point.clm.safir', 'b.nii.gz', *fast, '--uncalibrated', '--threads', '1', '-q')
two = recon('point.clm.safir', 'c.nii.gz', *fast, '--uncalibrated', '--threads', '3', '--max-memory', '1K', '-q')
check('quiet', one.returncode == 0 and one.stdout == '' and one.stderr == '', one.stderr)
check('threads and memory change no bit', two.returncode == 0 and numpy.array_equal(
    numpy.asarray(nibabel.load('b.nii.gz').dataobj), numpy.asarray(nibabel.load('c.nii.gz').dataobj)), two.stderr)

# F-18 has branching 0.9686 or so: Bq/mL = 100 x / branching, x as uncalibrated with the same nuclide
plain = recon('point.clm.safir', 'd.nii.gz', *fast, '--uncalibrated', '--nuclide', 'F-18')
full = recon('point.clm.safir', 'e.nii.gz', *fast, '--nuclide', 'F-18', '--calibration-factor', '100', '--calibration-uncertainty', '0.05')
check('calibrates', full.returncode == 0, full.stderr)
if full.returncode == 0 and plain.returncode == 0:
    x, y = (numpy.asarray(nibabel.load(n).dataobj, float) for n in ('d.nii.gz', 'e.nii.gz'))
    ratio = y.sum() / x.sum()
    check('factor over branching, once', 100 / 0.98 < ratio < 100 / 0.96, ratio)
    facts = json.load(open('e.json'))
    check('the sidecar says Bq/mL', facts.get('Units') == 'Bq/mL' or facts['isotrace']['unit'] == 'Bq/mL')

open('frames.csv', 'w').write('start_s,duration_s\n0,0.4\n0.4,0.6\n')
dynamic = recon('point.clm.safir', 'f.nii.gz', *fast, '--uncalibrated', '--frames', 'frames.csv', '--json')
check('frames', dynamic.returncode == 0 and json.loads(dynamic.stdout)['frames'] == 2 and nibabel.load('f.nii.gz').shape == (24, 24, 12, 2),
      dynamic.stderr)
clean = recon('clean.clm.safir', 'g.nii.gz', *fast, '--uncalibrated')
check('says that randoms are not corrected', clean.returncode == 0 and 'not corrected' in clean.stderr, clean.stderr)

bsrem = recon('point.clm.safir', 'i.nii.gz', *fast, '--uncalibrated', '--algorithm', 'bsrem', '--beta', '0.5', '--iterations', '50',
              '--stop-change', '0.05', '--objective')
check('BSREM', bsrem.returncode == 0, bsrem.stderr)
check('prints the objective', 'penalised log-likelihood' in bsrem.stderr and 'log-likelihood' not in plain.stderr, bsrem.stderr)
if bsrem.returncode == 0:
    facts = json.load(open('i.json'))['isotrace']['reconstruction']
    check('the sidecar says method, prior, objective and the iterations that were done', 'BSREM' in facts['method'] and
          'beta 0.5 mm2' in facts['prior'] and 1 < facts['iterations'] < 50 and math.isfinite(facts['objective']), facts)

penalised = ('--uncalibrated', '--algorithm', 'bsrem', '--iterations', '3', '--subsets', '3', '-q')
for name, options in (('j', ('--threads', '1')), ('k', ('--threads', '3', '--max-memory', '1K'))):
    recon('point.clm.safir', name + '.nii.gz', *fast, *penalised, *options)
check('threads and memory change no bit of BSREM', numpy.array_equal(
    numpy.asarray(nibabel.load('j.nii.gz').dataobj), numpy.asarray(nibabel.load('k.nii.gz').dataobj)))

whole = numpy.ones((30, 30, 20), numpy.uint8)
whole[15:] = 2
for name, shift in (('organs', -60), ('elsewhere', 500)):
    where = numpy.diag([4.0, 4, 4, 1])
    where[:3, 3] = (shift, -60, -40)
    nibabel.save(nibabel.Nifti1Image(whole, where), name + '.nii.gz')
nibabel.save(nibabel.Nifti1Image(0.5 * whole, where), 'halves.nii.gz')
guided = recon('point.clm.safir', 'l.nii.gz', *fast, *penalised, '--prior-regions', 'organs.nii.gz')
check('regions of a prior', guided.returncode == 0 and not numpy.array_equal(
    numpy.asarray(nibabel.load('j.nii.gz').dataobj), numpy.asarray(nibabel.load('l.nii.gz').dataobj)), guided.stderr)
if guided.returncode == 0:
    prior = json.load(open('l.json'))['isotrace']['reconstruction']['prior']
    check('the sidecar names them', prior.endswith('not across the borders of organs.nii.gz'), prior)

nibabel.save(nibabel.Nifti1Image(numpy.full((10, 10, 10), 0.1, numpy.float32), numpy.diag([4.0, 4, 4, 1])), 'mu.nii.gz')
open('late.csv', 'w').write('start_s,duration_s\n0,500\n')
open('upside.csv', 'w').write('start_s,duration_s\n5,1\n0,1\n')
open('columns.csv', 'w').write('begin,end\n5,1\n')
mu = recon('clean.clm.safir', 'h.nii.gz', *fast, '--uncalibrated', '--mu', 'mu.nii.gz', '--json')
check('attenuation', mu.returncode == 0 and json.loads(mu.stdout)['corrections']['attenuation'], mu.stderr)
check('scatter without a resolution is left out, and said to be', 'scatter: not corrected' in recon(
    'clean.clm.safir', 'h.nii.gz', *fast, '--uncalibrated', '--mu', 'mu.nii.gz').stderr)
energies = ('--mu', 'mu.nii.gz', '--energy-window', '350,650', '--energy-resolution', '15')
scatter = recon('clean.clm.safir', 'h.nii.gz', *fast, '--uncalibrated', '--nuclide', 'Sc-44', *energies, '--json')
check('scatter where the data are there, with prompt gammas', scatter.returncode == 0 and
      json.loads(scatter.stdout)['corrections']['scatter'].startswith('single-scatter simulation') and
      json.loads(scatter.stdout)['corrections']['scatter'].endswith('Sc-44'), scatter.stderr + scatter.stdout)
plain = recon('clean.clm.safir', 'h.nii.gz', *fast, '--uncalibrated', *energies, '--scatter', 'none', '--json')
check('scatter refused', plain.returncode == 0 and json.loads(plain.stdout)['corrections']['scatter'] == '', plain.stderr)
# a map's sidecar says what it was made from, when isotrace mu has made the map
sidecar = {'format': 'isotrace mu map 1', 'made_from': 'CT 1.2.3, 50 kVp, published'}
said = []
for text in (json.dumps(sidecar), json.dumps(dict(sidecar, format='another')), '{'):
    open('mu.json', 'w').write(text)
    said.append(recon('clean.clm.safir', 'h.nii.gz', *fast, '--uncalibrated', '--mu', 'mu.nii.gz', '--json'))
os.remove('mu.json')
texts = [json.loads(one.stdout)['corrections']['attenuation'] for one in said[:2]]
check('says what the mu map was made from', texts == ['CT 1.2.3, 50 kVp, published', 'mu map, line integrals'], texts)
check('a damaged sidecar of a map', said[2].returncode == 3 and 'mu.json' in said[2].stderr, said[2].stderr)

# what a conversion warned of is still said when its list-mode is reconstructed
subprocess.run([os.environ['ISOTRACE'], 'convert', 'clean.clm.safir', '--crystal-map', 'map.txt', '-o', 'w.lm.h5', '-q'], check=True)
with h5py.File('w.lm.h5', 'r+') as f:
    facts = json.loads(f['provenance'][()])
    facts.get('export', facts).setdefault('warnings', []).append('half of it is missing')
    text = json.dumps(facts).encode()
    del f['provenance']
    f.create_dataset('provenance', data=text, dtype=h5py.string_dtype('utf-8', len(text) + 1))
warned = recon('w.lm.h5', 'w.nii.gz', *fast, '--uncalibrated')
check('passes on the warnings of an export', warned.returncode == 0 and 'warning: half of it is missing' in warned.stderr, warned.stderr)
silent = recon('w.lm.h5', 'w.nii.gz', *fast, '--uncalibrated', '-q')
check('but not when quiet', silent.returncode == 0 and silent.stderr == '', silent.stderr)

before = sorted(os.listdir('.'))
for name, code, word, source, options in (
        ('missing calibration', 3, 'missing calibration', 'point.clm.safir', ('--nuclide', 'F-18')),
        ('calibration without a nuclide', 3, 'nuclide', 'point.clm.safir', ('--calibration-factor', '1')),
        ('unknown nuclide', 3, 'Xy-99', 'point.clm.safir', ('--uncalibrated', '--nuclide', 'Xy-99')),
        ('randoms without delayeds', 3, 'delayed', 'clean.clm.safir', ('--uncalibrated', '--randoms', 'delayed')),
        ('scatter without mu', 3, '--mu', 'point.clm.safir', ('--uncalibrated', '--scatter', 'sss')),
        ('scatter without energies', 3, '--energy-window', 'point.clm.safir',
         ('--uncalibrated', '--scatter', 'sss', '--mu', 'mu.nii.gz')),
        ('gammas without a nuclide', 3, 'prompt gammas', 'point.clm.safir', ('--uncalibrated', '--prompt-gamma', *energies)),
        ('no energy window', 2, 'energy-window', 'point.clm.safir', ('--uncalibrated', '--energy-window', '650,350')),
        ('no such scatter', 2, 'sss or none', 'point.clm.safir', ('--uncalibrated', '--scatter', 'monte-carlo')),
        ('no such file', 3, 'nothing.h5', 'nothing.h5', ('--uncalibrated',)),
        ('no such mu map', 3, 'none.nii.gz', 'point.clm.safir', ('--uncalibrated', '--mu', 'none.nii.gz')),
        ('a frame beyond the end', 3, 'ends at', 'point.clm.safir', ('--uncalibrated', '--frames', 'late.csv')),
        ('frames out of order', 3, 'line 3', 'point.clm.safir', ('--uncalibrated', '--frames', 'upside.csv')),
        ('a frame table of something else', 3, 'start_s', 'point.clm.safir', ('--uncalibrated', '--frames', 'columns.csv')),
        ('contradiction', 2, 'contradicts', 'point.clm.safir', ('--uncalibrated', '--calibration-factor', '1')),
        ('no filter', 2, 'filter', 'point.clm.safir', ('--uncalibrated', '--post-filter', 'median:3')),
        ('one replicate', 2, 'replicates', 'point.clm.safir', ('--uncalibrated', '--replicates', '1')),
        ('no such algorithm', 2, 'bsrem', 'point.clm.safir', ('--uncalibrated', '--algorithm', 'fbp')),
        ('MLEM of two subsets', 2, 'contradicts', 'point.clm.safir', ('--uncalibrated', '--algorithm', 'mlem')),
        ('a prior for OSEM', 2, 'bsrem', 'point.clm.safir', ('--uncalibrated', '--beta', '1')),
        ('regions for OSEM', 2, '--prior-regions', 'point.clm.safir', ('--uncalibrated', '--prior-regions', 'organs.nii.gz')),
        ('regions that are elsewhere', 3, 'no label', 'point.clm.safir',
         ('--uncalibrated', '--algorithm', 'bsrem', '--prior-regions', 'elsewhere.nii.gz')),
        ('regions that are no labels', 3, 'halves.nii.gz', 'point.clm.safir',
         ('--uncalibrated', '--algorithm', 'bsrem', '--prior-regions', 'halves.nii.gz')),
        ('a negative prior', 2, 'beta', 'point.clm.safir', ('--uncalibrated', '--algorithm', 'bsrem', '--beta', '-1')),
        ('no number', 2, 'iterations', 'point.clm.safir', ('--uncalibrated', '--iterations', 'many'))):
    bad = recon(source, 'bad.nii.gz', *fast, *options)
    check(f'{name}: exit {code}', bad.returncode == code and word in bad.stderr and not bad.stdout, (bad.returncode, bad.stderr))
check('nothing was left behind', sorted(os.listdir('.')) == before, set(os.listdir('.')) - set(before))
bad = recon('point.clm.safir', 'bad.nii', *fast, '--uncalibrated')
check('an output that is no .nii.gz: exit 2', bad.returncode == 2 and '.nii.gz' in bad.stderr, bad.stderr)
bad = recon('point.clm.safir', 'nowhere/bad.nii.gz', *fast, '--uncalibrated')
check('no folder for the output', bad.returncode == 5 and 'nowhere' in bad.stderr, bad.stderr)

# 20 cycles of 48 ms, then one of 40 ms: 12 ms to each of 4 gates, of the first 960 of 1001 ms
open('ecg.csv', 'w').write('time_ms\n' + ''.join(f'{48 * n}\n' for n in range(21)) + '1000\n')
gates = ('--gates', '4', '--triggers', 'ecg.csv')
gated = recon('point.clm.safir', 'g.nii.gz', *fast, *gates, '--shortest-cycle', '0.045', '--trigger-kind', 'cardiac', '--uncalibrated',
              '--nuclide', 'F-18')
check('gates', gated.returncode == 0 and nibabel.load('g.nii.gz').shape == (24, 24, 12, 4) and '1 cycles rejected' in gated.stderr, gated.stderr)
facts = json.load(open('g.json'))['isotrace']
gating = facts['gating']
check('the sidecar has the gates', gating['cycles'] == 20 and gating['rejected_cycles'] == 1 and abs(gating['cycle_s'] - 0.048) < 1e-9 and
      gating['trigger'] == 'cardiac' and gating['framing'] == 'share' and gating['shortest_cycle_s'] == 0.045 and
      all(abs(g['collected_s'] - 0.24) < 1e-9 and abs(g['start_s'] - 0.012 * n) < 1e-9 for n, g in enumerate(gating['gates'])), gating)
x, y = (numpy.asarray(nibabel.load(n).dataobj, float) for n in ('d.nii.gz', 'g.nii.gz'))
# about 1440 counts in each gate: 2.6 % of noise
check('each gate has the whole scan\'s activity', all(abs(y[..., n].sum() / x.sum() - 1) < 0.13 for n in range(4)) and
      abs(facts['reconstruction']['prompts'] / 6000 - 960 / 1001) < 0.01, [y[..., n].sum() / x.sum() for n in range(4)])
check('gates in JSON', json.loads(subprocess.run([os.environ['ISOTRACE'], 'info', 'g.nii.gz', '--json'], capture_output=True).stdout)['gates'] == 4)
for options, code, words in ((('--gates', '4'), 2, '--triggers'), (('--triggers', 'ecg.csv'), 2, '--gates N'),
                             (gates + ('--frames', 'frames.csv'), 2, '--frames'), (gates + ('--gating', 'half'), 2, 'share or time'),
                             (gates + ('--shortest-cycle', '2', '--longest-cycle', '1'), 2, 'longer'), (gates + ('--gates', '1'), 2, '--gates'),
                             (gates + ('--shortest-cycle', '2'), 3, 'no cycle of 22 triggers'), (gates + ('--gates', '500'), 3, 'ms')):
    done = recon('point.clm.safir', 'never.nii.gz', *fast, '--uncalibrated', *options)
    check('refused: ' + ' '.join(options[-2:]), done.returncode == code and words in done.stderr and not os.path.exists('never.nii.gz'), done.stderr)
for text, words in (('0\n1\n', 'time_s or time_ms'), ('time_s,time_ms\n0,0\n1,1\n', 'both'), ('time_s\n0\n', '1 triggers'),
                    ('time_s\n0\n0.2\n0.1\n', 'line 4'), ('time_s\n0\nx\n', 'line 3')):
    open('bad.csv', 'w').write(text)
    done = recon('point.clm.safir', 'never.nii.gz', *fast, '--uncalibrated', '--gates', '4', '--triggers', 'bad.csv')
    check('refused: triggers ' + repr(text), done.returncode == 3 and 'bad.csv' in done.stderr and words in done.stderr, done.stderr)
for path in glob.glob('*'):
    os.remove(path)
os.chdir('/')
os.rmdir(folder)
print(f'1..{number}')
