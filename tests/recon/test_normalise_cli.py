# SPDX-License-Identifier: GPL-3.0-or-later
"""isotrace normalise and isotrace recon --normalisation, --dead-time singles, --randoms singles: from files to files. The scan is written here with
h5py, its counts are drawn here."""
import json
import math
import os
import shutil
import subprocess
import tempfile

import h5py
import numpy

number = 0


def check(name, ok, note=''):
    global number
    number += 1
    if not ok and note:
        print('#', str(note).strip().replace('\n', '\n# '))
    print(f"{'ok' if ok else 'not ok'} {number} - normalise-cli: {name}")


folder = tempfile.mkdtemp(prefix='isotrace-normalise-')
os.chdir(folder)
RINGS, CRYSTALS, RADIUS, DURATION = 4, 24, 40.0, 20.0
ELEMENTS = RINGS * CRYSTALS
random = numpy.random.default_rng(7)
angle = 2 * math.pi * (numpy.arange(ELEMENTS) % CRYSTALS) / CRYSTALS
position = numpy.stack([RADIUS * numpy.cos(angle), RADIUS * numpy.sin(angle), 4.0 * (numpy.arange(ELEMENTS) // CRYSTALS) - 6], 1).astype('f4')
normal = numpy.stack([numpy.cos(angle), numpy.sin(angle), 0 * angle], 1).astype('f4')
truth = numpy.clip(1 + 0.15 * random.standard_normal(ELEMENTS), 0.5, 1.5)
a, b = numpy.triu_indices(ELEMENTS, 1)
p, q = position[a].astype(float), position[b].astype(float)
d = q - p
length = numpy.linalg.norm(d, axis=1)
across = numpy.hypot(d[:, 0], d[:, 1])
offset = numpy.abs(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]) / numpy.maximum(across, 1e-9)
allowed = (across > 0) & (offset < 22)
a, b, d, length, across, offset = (x[allowed] for x in (a, b, d, length, across, offset))
cosines = numpy.abs((d * normal[a]).sum(1) * (d * normal[b]).sum(1)) / length**2
chord = 2 * numpy.sqrt(numpy.maximum(18.0**2 - offset**2, 0)) * length / across
mean = truth[a] * truth[b] * cosines / length**2 * chord * numpy.exp(-0.0096 * chord)


def write(name, counts, singles=None, attributes={}, start='2026-03-01T08:00:00Z'):
    pair = numpy.repeat(numpy.arange(len(a)), random.poisson(mean * counts / mean.sum()))
    time = numpy.sort(random.integers(0, int(1000 * DURATION), len(pair))).astype('u4')
    random.shuffle(pair)
    with h5py.File(name, 'w', libver=('v110', 'v110')) as f:
        f.attrs['format'] = 'isotrace list-mode'
        f.attrs['format_version'] = numpy.uint64(1)
        s = f.create_group('scanner')
        s['position_mm'], s['normal'], s['efficiency'] = position, normal, numpy.ones(ELEMENTS, 'f4')
        s.attrs.update({'name': 'drawn', 'modality': 'PET', 'elements_per_ring': numpy.uint64(CRYSTALS), 'max_transaxial_offset_mm': 22.0, **attributes})
        e = f.create_group('events')
        e['time_ms'], e['element'] = time, numpy.stack([a[pair], b[pair]], 1).astype('u4')
        e['tof_bin'], e['kind'], e['window'] = (numpy.zeros(len(pair), t) for t in ('i2', 'u1', 'u1'))
        e['index'] = numpy.searchsorted(time, 1000 * numpy.arange(int(DURATION))).astype('u8')
        c = f.create_group('counts')
        for key in ('records', 'prompts', 'delayeds', 'tags_time', 'tags_other', 'rejected_outside_scanner', 'rejected_same_element',
                    'rejected_pair_rule', 'rejected_malformed'):
            c.attrs[key] = numpy.uint64(len(pair) if key in ('records', 'prompts') else 0)
        c.attrs['duration_s'] = DURATION
        f.create_group('acquisition').attrs.update({'modality': 'PET', 'duration_s': DURATION, 'start_utc': start})
        if singles is not None:
            g = f.create_group('singles')
            g.attrs['interval_s'] = 1.0
            g['group'], g['counts'] = numpy.arange(ELEMENTS, dtype='u4'), singles.astype('u4')
        f.attrs['complete'] = numpy.uint64(1)


def run(*words):
    return subprocess.run([os.environ['ISOTRACE'], *words], capture_output=True, text=True)


write('norm.lm.h5', 400000)
source = ('--source', 'cylinder', '--radius', '18', '--mu', '0.096')
done = run('normalise', 'norm.lm.h5', *source, '-o', 'a.norm.h5', '--json')
check('normalises', done.returncode == 0, done.stderr)
report = json.loads(done.stdout) if done.returncode == 0 else {}
with h5py.File('a.norm.h5') as f:
    efficiency, uncertainty = f['efficiency'][:], f['uncertainty'][:]
    check('the file says what it is', f.attrs['format'] == b'isotrace normalisation' and f.attrs['start_utc'] == b'2026-03-01T08:00:00Z' and
          b'radius 18 mm' in f.attrs['source'] and len(f.attrs['scanner_hash']) == 64, dict(f.attrs))
error = efficiency / truth / numpy.mean(efficiency / truth) - 1
# 96 crystals with 8,300 counts each, 1.1 %; lines within 0.9 of the radius; the rms scatters by 1/sqrt(2 x 96) = 7 %, five of that
check('efficiencies within what they promise', abs(math.sqrt(numpy.mean(error**2)) / math.sqrt(numpy.mean(uncertainty**2)) - 1) < 0.36,
      (math.sqrt(numpy.mean(error**2)), math.sqrt(numpy.mean(uncertainty**2))))
again = run('normalise', 'norm.lm.h5', *source, '-o', 'b.norm.h5', '-q', '--threads', '1')
with h5py.File('b.norm.h5') as f:
    check('threads change no bit', again.returncode == 0 and again.stdout == '' and numpy.array_equal(f['efficiency'][:], efficiency))

# singles of 20,000 per s and crystal at first, halving in 20 s; blocks of 6 x 2
rate = 20000 * truth / truth.mean() * numpy.exp2(-numpy.arange(DURATION)[:, None] / 20)
blocks = {'block_crystals': numpy.array([6, 2], 'u8')}
write('scan.lm.h5', 30000, random.poisson(rate), {**blocks, 'dead_time_model': 'paralyzable', 'dead_time_ns': 400.0, 'coincidence_window_ns': 5.0})
write('plain.lm.h5', 30000, random.poisson(rate), blocks)
write('none.lm.h5', 30000)
write('few.lm.h5', 300)
write('old.lm.h5', 3000, start='2028-03-01T08:00:00Z')
fast = ('--grid', '16,16,6', '--voxel', '2.5', '--iterations', '2', '--subsets', '2', '--replicates', '0', '--uncalibrated', '--sensitivity-cache', 'none',
        '--json')


def recon(name, *options):
    return run('recon', name, '-o', 'x.nii.gz', *fast, *options)


def corrections(result):
    return json.loads(result.stdout)['corrections'] if result.returncode == 0 else {}


both = recon('scan.lm.h5', '--normalisation', 'a.norm.h5', '--dead-time', 'singles', '--randoms', 'singles')
said = corrections(both)
check('normalisation, dead time and randoms from singles', both.returncode == 0, both.stderr)
check('the sidecar says with what', 'a.norm.h5' in said.get('normalisation', '') and '2026-03-01' in said['normalisation'] and
      'paralyzable, 400 ns' in said['dead_time'] and '5 ns' in said['randoms'], said)
live = float(said['dead_time'].split('live ')[1].split(' ')[0])
# m = 12 x 20000 x decay; n exp(-n tau) = m by iteration; the mean over the scan of exp(-2 n tau), blocks alike within some percent
seconds, total = numpy.arange(0, DURATION) + 0.0, []
for m in 240000 * numpy.exp2(-seconds / 20):
    n = m
    for _ in range(100):
        n = m * math.exp(n * 400e-9)
    total.append(math.exp(-2 * n * 400e-9))
check('pairs are live as long as they should', abs(live / numpy.mean(total) - 1) < 5e-3, (live, numpy.mean(total)))
stated = recon('plain.lm.h5', '--dead-time', 'singles', '--dead-time-ns', '400', '--dead-time-model', 'paralyzable', '--randoms', 'singles',
               '--coincidence-window-ns', '5')
check('stated on the command line', 'paralyzable, 400 ns' in corrections(stated).get('dead_time', ''), stated.stderr)
for option in ('--dead-time', '--dead-time-factor'):
    factor = recon('plain.lm.h5', option, '1.5', '--randoms', 'none')
    check(f'{option} 1.5', '1.5' in corrections(factor).get('dead_time', ''), factor.stderr)
late = run('recon', 'old.lm.h5', '-o', 'x.nii.gz', *fast[:-1], '--normalisation', 'a.norm.h5')
check('an old normalisation is noted', late.returncode == 0 and '731 days before' in late.stderr, late.stderr)


def damaged(name, change):
    shutil.copy('a.norm.h5', name)
    with h5py.File(name, 'r+') as f:
        change(f)
    return name


damaged('hash.norm.h5', lambda f: f.attrs.__setitem__('scanner_hash', numpy.bytes_('0' * 64)))
damaged('nan.norm.h5', lambda f: f['efficiency'].__setitem__(3, float('nan')))
damaged('short.norm.h5', lambda f: (f.__delitem__('uncertainty'), f.__setitem__('uncertainty', numpy.ones(5, 'f4'))))
damaged('double.norm.h5', lambda f: (f.__delitem__('efficiency'), f.__setitem__('efficiency', numpy.ones(ELEMENTS, 'f8'))))
damaged('version.norm.h5', lambda f: f.attrs.__setitem__('format_version', numpy.uint64(9)))
damaged('begun.norm.h5', lambda f: f.attrs.__delitem__('complete'))
damaged('nodes.norm.h5', lambda f: f.create_group('components').__setitem__('radial', numpy.ones(5, 'f4')))
for name, word in (('hash', 'another scanner'), ('nan', 'efficiency'), ('short', 'uncertainty'), ('double', 'efficiency'), ('version', 'version 9'),
                   ('begun', 'never finished'), ('nodes', 'step')):
    bad = recon('none.lm.h5', '--normalisation', f'{name}.norm.h5')
    check(f'refuses {name}.norm.h5', bad.returncode == 3 and word in bad.stderr, (bad.returncode, bad.stderr))
for name, code, word, options in (
        ('no such file', 3, 'gone.norm.h5', ('none.lm.h5', '--normalisation', 'gone.norm.h5')),
        ('list-mode as normalisation', 3, 'no isotrace normalisation', ('none.lm.h5', '--normalisation', 'none.lm.h5')),
        ('dead time without singles', 3, 'no singles', ('none.lm.h5', '--dead-time', 'singles')),
        ('randoms without singles', 3, 'no singles', ('none.lm.h5', '--randoms', 'singles')),
        ('dead time not stated', 3, '--dead-time-ns', ('plain.lm.h5', '--dead-time', 'singles')),
        ('window not stated', 3, '--coincidence-window-ns', ('plain.lm.h5', '--randoms', 'singles')),
        ('beyond what a block can record', 3, 'lets through', ('scan.lm.h5', '--dead-time', 'singles', '--dead-time-ns', '5000')),
        ('both kinds of dead time', 2, 'choose one', ('scan.lm.h5', '--dead-time', 'singles', '--dead-time-factor', '1')),
        ('no such model', 2, 'paralyzable', ('scan.lm.h5', '--dead-time-model', 'slow'))):
    bad = recon(*options)
    check(f'{name}: exit {code}', bad.returncode == code and word in bad.stderr, (bad.returncode, bad.stderr))
for name, code, word, options in (
        ('no source', 2, '--source', ('norm.lm.h5', '-o', 'c.norm.h5')),
        ('no radius', 2, 'radius', ('norm.lm.h5', '-o', 'c.norm.h5', '--source', 'cylinder')),
        ('a source that crystals do not see', 3, 'no line through', ('norm.lm.h5', '-o', 'c.norm.h5', '--source', 'cylinder', '--radius', '18', '--length', '4', '--centre', '0,0,10')),
        ('too few counts', 3, 'longer', ('few.lm.h5', '-o', 'c.norm.h5', *source)),
        ('blocks that are not stated', 3, 'block', ('norm.lm.h5', '-o', 'c.norm.h5', *source, '--block', 'yes')),
        ('nowhere to write', 5, 'nowhere', ('norm.lm.h5', '-o', 'nowhere/c.norm.h5', *source))):
    bad = run('normalise', *options)
    check(f'{name}: exit {code}', bad.returncode == code and word in bad.stderr and not os.path.exists('c.norm.h5'), (bad.returncode, bad.stderr))
os.chdir('/')
shutil.rmtree(folder)
print(f'1..{number}')
