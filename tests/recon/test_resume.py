# SPDX-License-Identifier: GPL-3.0-or-later
"""isotrace recon killed in the middle: the same command goes on from the last finished iteration and gives the same bits."""
import glob
import math
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time

import nibabel
import numpy

number = 0


def check(name, ok, note=''):
    global number
    number += 1
    if not ok and note:
        print('#', str(note).strip().replace('\n', '\n# '))
    print(f"{'ok' if ok else 'not ok'} {number} - recon-resume: {name}")


folder = tempfile.mkdtemp(prefix='isotrace-resume-')
os.chdir(folder)
RINGS, DETS, RADIUS, MS = 6, 48, 40.0, 1000
with open('map.txt', 'w') as f:
    f.write('#ring\tdet\tx\ty\tz\n')
    for r in range(RINGS):
        for d in range(DETS):
            a = 2 * math.pi * d / DETS
            f.write(f'{r}\t{d}\t{RADIUS * math.cos(a):.4f}\t{RADIUS * math.sin(a):.4f}\t{4 * r - 10}\n')


def write_events(name, seed, count=20000):
    """Lines near the axis and delayeds, evenly in time."""
    draw = numpy.random.default_rng(seed)
    a, ring, other = draw.integers(0, DETS, count), draw.integers(0, RINGS, count), draw.integers(0, RINGS, count)
    delayed = draw.random(count) < 0.1
    b = (a + DETS // 2 + numpy.where(delayed, draw.integers(-8, 9, count), draw.integers(-3, 4, count))) % DETS
    words = [int(w) for w in ring | other << 8 | a << 16 | b << 32 | delayed.astype(int) << 62]
    with open(name, 'wb') as f:
        f.write(b'SAFIR CListModeData'.ljust(32, b'\0'))
        for ms in range(MS + 1):
            f.write(struct.pack('<Q', 1 << 63 | ms))
            part = words[count * ms // (MS + 1):count * (ms + 1) // (MS + 1)]
            f.write(struct.pack(f'<{len(part)}Q', *part))


write_events('a.clm.safir', 1)
write_events('b.clm.safir', 2)
open('frames.csv', 'w').write('start_s,duration_s\n0,0.4\n0.4,0.6\n')
CHECKPOINT = '.x.nii.gz.checkpoint'
COMMON = ('--crystal-map', 'map.txt', '--grid', '20,20,8', '--voxel', '2.5,2.5,4', '--sensitivity-cache', 'none', '--uncalibrated',
          '--frames', 'frames.csv', '--replicates', '2', '--subsets', '3', '--post-filter', 'gaussian:3', '--threads', '2',
          '--nuclide', 'F-18', '--psf-fwhm', '2')


def command(source, output, options, extra=()):
    return [os.environ['ISOTRACE'], 'recon', source, '-o', output, *COMMON, *options, *extra]


def run(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True)


def kill_in_the_middle(options):
    """Kills -9 once the third image of six has an entry (one more is the folder's mark); again when it came further meanwhile."""
    for _ in range(20):
        shutil.rmtree(CHECKPOINT, ignore_errors=True)
        child = subprocess.Popen(command('a.clm.safir', 'x.nii.gz', options, ('--checkpoint-every', '0')),
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while child.poll() is None and len(glob.glob(CHECKPOINT + '/*.cache')) < 4:
            time.sleep(0.0005)
        child.send_signal(signal.SIGKILL)
        if child.wait() == -signal.SIGKILL and len(glob.glob(CHECKPOINT + '/*.cache')) == 4:
            return True
    return False


def voxels(name):
    return [numpy.asarray(nibabel.load(n).dataobj).tobytes() for n in (name, name.replace('.nii', '_replicates.nii'))]


def outputs():
    return glob.glob('x*.nii.gz')


ways = (('OSEM', ('--iterations', '12')),
        ('BSREM', ('--algorithm', 'bsrem', '--iterations', '12', '--objective')),
        ('a stop by change', ('--algorithm', 'bsrem', '--iterations', '40', '--stop-change', '0.02')))
# Under the sanitizers one of them: the checkpoint is the same, and each is reconstructed three times.
for name, options in ways[:1] if 'ISO_SANITIZED' in os.environ else ways:
    whole = run('a.clm.safir', 'whole.nii.gz', options, ('--checkpoint', 'none'))
    check(f'{name}: undisturbed', whole.returncode == 0, whole.stderr)
    check(f'{name}: killed', kill_in_the_middle(options) and not outputs() and os.path.isdir(CHECKPOINT), os.listdir('.'))
    again = run('a.clm.safir', 'x.nii.gz', options)
    check(f'{name}: says that it resumed', again.returncode == 0 and again.stderr.count('resumed after iteration') == 3 and
          'frame 1 of 2, replicate 2 of 2, resumed' in again.stderr, again.stderr)
    check(f'{name}: the same bits', voxels('x.nii.gz') == voxels('whole.nii.gz'))
    check(f'{name}: the checkpoint is gone', not os.path.exists(CHECKPOINT))
    for path in outputs() + ['x.json']:
        os.remove(path)

options = ('--iterations', '12')
run('a.clm.safir', 'whole.nii.gz', options, ('--checkpoint', 'none'))
assert kill_in_the_middle(options)
shutil.copytree(CHECKPOINT, 'kept')


def restored(change):
    shutil.rmtree(CHECKPOINT, ignore_errors=True)
    shutil.copytree('kept', CHECKPOINT)
    change()


def damage():
    """Flips a bit of every image's entry."""
    for path in glob.glob(CHECKPOINT + '/*.cache'):
        if os.path.getsize(path) > 1000:
            data = bytearray(open(path, 'rb').read())
            data[len(data) // 2] ^= 1
            open(path, 'wb').write(data)


def truncate():
    for path in glob.glob(CHECKPOINT + '/*.cache'):
        os.truncate(path, os.path.getsize(path) // 2)


for name, change, word in (('damaged', damage, 'damaged'), ('truncated', truncate, 'not used')):
    restored(change)
    done = run('a.clm.safir', 'x.nii.gz', options)
    check(f'a {name} checkpoint is not used, with a note', done.returncode == 0 and word in done.stderr and
          'resumed' not in done.stderr and voxels('x.nii.gz') == voxels('whole.nii.gz'), done.stderr)
for name, source, other in (('other events', 'b.clm.safir', options), ('other options', 'a.clm.safir', ('--iterations', '11')),
                            ('another algorithm', 'a.clm.safir', ('--iterations', '12', '--algorithm', 'bsrem'))):
    restored(lambda: None)
    done = run(source, 'x.nii.gz', other)
    alone = run(source, 'y.nii.gz', other, ('--checkpoint', 'none'))
    check(f'a checkpoint of {name} is not used', done.returncode == 0 and 'not used' in done.stderr and
          'resumed' not in done.stderr and voxels('x.nii.gz') == voxels('y.nii.gz'), done.stderr)
restored(lambda: None)
done = run('a.clm.safir', 'x.nii.gz', options, ('--no-resume',))
check('--no-resume begins anew', done.returncode == 0 and 'resumed' not in done.stderr and
      voxels('x.nii.gz') == voxels('whole.nii.gz') and not os.path.exists(CHECKPOINT), done.stderr)
restored(lambda: open(CHECKPOINT + '/mine.txt', 'w').close())
done = run('a.clm.safir', 'x.nii.gz', options)
check('what else lies in the folder stays', done.returncode == 0 and os.listdir(CHECKPOINT) == ['mine.txt'], done.stderr)
os.chdir('/')
shutil.rmtree(folder)
print(f'1..{number}')
