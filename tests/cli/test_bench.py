# SPDX-License-Identifier: GPL-3.0-or-later
"""isotrace bench: what it prints is complete and consistent; wrong usage exits 2."""
import json
import math
import os
import subprocess
import tempfile

import h5py
import numpy

number = 0


def check(name, ok, note=''):
    global number
    number += 1
    print(f"{'ok' if ok else 'not ok'} {number} - bench: {name}" + (f' # {note}' if note and not ok else ''))


def run(*options):
    return subprocess.run([os.environ['ISOTRACE'], 'bench', *options], capture_output=True, text=True)


def numbers(value):
    """All numbers in what JSON gave."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, (int, float)) and not isinstance(value, bool) else []


# Under the sanitizers the smallest case alone: the large ones are the same code on more voxels.
names = ('preclinical',) if 'ISO_SANITIZED' in os.environ else ('preclinical', 'clinical', 'total-body')
some = ('--case', 'preclinical') if 'ISO_SANITIZED' in os.environ else ()
done = run('projector', '--events', '2000', '--textbook-events', '1000', '--rounds', '1', '--threads', '2', '--json', *some)
report = json.loads(done.stdout) if done.returncode == 0 else {'cases': []}
cases = report['cases']
check('exit code 0', done.returncode == 0, done.stderr)
check('says threads and rounds', report.get('threads') == 2 and report.get('rounds') == 1)
check('all cases, without and with TOF', [(case['case'], case['tof']) for case in cases] == [
    (name, tof) for name in names for tof in (False, True)])
check('says the events of either kernel', all(case['events'] == 2000 and case['textbook_events'] == 1000 for case in cases))
check('every number is finite and none negative', len(numbers(cases)) > 2 * len(names) * 25 and all(
    math.isfinite(number) and number >= 0 for number in numbers(cases)))
# sums of the same products in two orders: float rounding only
check('adjoint errors', all(case[kernel]['adjoint_error'] < 1e-6 for case in cases for kernel in ('fast', 'textbook', 'fast_one_thread')))
check('ratios are those of the speeds', all(
    abs(case['ratio'][way] * case['textbook'][f'{way}_events_per_s'] / case['fast'][f'{way}_events_per_s'] - 1) < 1e-4 and
    abs(case['threads_ratio'][way] * case['fast_one_thread'][f'{way}_events_per_s'] / case['fast'][f'{way}_events_per_s'] - 1) < 1e-4
    for case in cases for way in ('forward', 'back', 'both')))
# Float rounding of places in grids of up to 600 voxels: 3 x 600 x 2^-24 = 1e-4 of a voxel, at neighbours that differ by up to 1. With
# TOF, rounding may decide otherwise whether a plane lies inside the cut, where it weighs 1.35e-3, against the 0.38 of one plane at the
# middle of a bin of one sigma: at most 1.35e-3 / 0.38 = 3.6e-3 of the largest voxel.
check('both kernels compute the same', all(case['difference'][way] < (4e-3 if case['tof'] else 1e-3)
                                           for case in cases for way in ('forward', 'back')), [case['difference'] for case in cases])
check('CPU time', all(0 < case[kernel]['cpu_share'] < 1.1 for case in cases for kernel in ('fast', 'textbook', 'fast_one_thread')))
check('there is something to move', all(case['traffic']['image'][key] > 0 and case['traffic']['panel'][key] >= 0 for case in cases for key in (
    'forward_load_bytes_per_event', 'back_load_bytes_per_event', 'back_store_bytes_per_event', 'working_set_bytes')))
check('the bound and its share', all(case['bound_s_per_event'][way] > 0 and abs(
    case['share_of_bound'][way] / (case['bound_s_per_event'][way] * case['fast'][f'{way}_events_per_s']) - 1) < 1e-4
    for case in cases for way in ('forward', 'back')))
one = run('projector', '--events', '500', '--rounds', '1', '--case', 'preclinical', '--threads', '1', '--json')
check('one thread is not compared with itself', one.returncode == 0 and all(
    'threads_ratio' not in case and case['textbook_events'] == 500 for case in json.loads(one.stdout)['cases']), one.stderr)
table = run('projector', '--events', '500', '--rounds', '2', '--case', 'clinical', '--threads', '2')
check('a table without --json', table.returncode == 0 and 'clinical, non-TOF' in table.stdout and 'clinical, TOF' in table.stdout and
      'total-body' not in table.stdout)
slow = run('projector', '--events', '500', '--rounds', '1', '--case', 'preclinical', '--threads', '1', '--kernels', 'baseline', '--json')
check('kernels that every processor has', slow.returncode == 0 and json.loads(slow.stdout)['kernels'] == 'baseline', slow.stderr)
check('says which kernels it took by itself', report.get('kernels') in ('avx512', 'avx2', 'baseline') and
      f"{report['kernels']} kernels" in table.stdout)

folder = tempfile.TemporaryDirectory(prefix='isotrace-bench-')
plain, tof = os.path.join(folder.name, 'plain.lm.h5'), os.path.join(folder.name, 'tof.lm.h5')
# more than one block of random numbers, and not a whole number of them
done = run('events', '--case', 'preclinical', '--events', '70000', '-o', plain)
check('writes events', done.returncode == 0 and done.stdout == '', done.stderr)
more = run('events', '--case', 'preclinical', '--events', '1000', '--tof', '--json', '-o', tof)
check('writes events with TOF', more.returncode == 0 and json.loads(more.stdout)['events'] == 1000, more.stderr)
info = subprocess.run([os.environ['ISOTRACE'], 'info', '--json', plain], capture_output=True, text=True)
check('isotrace reads them', info.returncode == 0, info.stderr)
if done.returncode == 0 and more.returncode == 0:
    facts = json.loads(info.stdout)
    check('says what they are', facts['prompts'] == 70000 and facts['duration_s'] == 600 and facts['nuclide'] == 'F-18', info.stdout)
    with h5py.File(plain) as f, h5py.File(tof) as g:
        element, where = f['events/element'][:], f['scanner/position_mm'][:]
        a, b = where[element[:, 0]].astype(float), where[element[:, 1]].astype(float)
        # seen along z, how far lines pass from the axis: the cylinder's 15 mm and a crystal (1.26 mm at 80 mm radius)
        offset = numpy.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / numpy.hypot(a[:, 0] - b[:, 0], a[:, 1] - b[:, 1])
        check('lines cross the cylinder', offset.max() < 16.3 and offset.max() > 14, offset.max())
        check('evenly in time', f['events/time_ms'][0] == 0 and abs(f['events/time_ms'][35000] - 300000) < 10)
        check('no TOF unless asked for', 'tof_bins' not in f['scanner'].attrs and not f['events/tof_bin'][:].any())
        check('the same events with TOF', (g['events/element'][:] == element[:1000]).all())
        spread_mm = g['events/tof_bin'][:].std() * 25
        # positions of the cylinder and 25 mm of resolution
        check('TOF positions', 25 < spread_mm < 40 and abs(g['events/tof_bin'][:].mean()) < 0.2, spread_mm)
    again = run('events', '--case', 'preclinical', '--events', '1000', '--tof', '-o', tof + '2')
    check('the same bits again', again.returncode == 0 and open(tof, 'rb').read() == open(tof + '2', 'rb').read())
    # 20 x 20 x 20 voxels of 4 mm
    volume = os.path.join(folder.name, 'x.nii.gz')
    recon = subprocess.run([os.environ['ISOTRACE'], 'recon', plain, '-o', volume, '--uncalibrated', '--grid', '20,20,20', '--voxel', '4',
                            '--iterations', '1', '--replicates', '0', '--sensitivity-cache', 'none', '--sensitivity-lines', '100000'],
                           capture_output=True, text=True)
    check('isotrace recon takes them', recon.returncode == 0 and os.path.exists(volume), recon.stderr)
folder.cleanup()

for options in ([], ['nothing'], ['projector', 'projector'], ['projector', '--events', '0'], ['projector', '--case', 'x'],
                ['projector', '--threads', 'two'], ['projector', '--kernels', 'abacus'], ['projector', '--rounds', '0'], ['projector', '--events', '100000001'],
                ['events', '-o', '/nowhere/x.lm.h5'], ['events', '--case', 'clinical']):
    bad = run(*options)
    check(f'wrong usage {options}', bad.returncode == 2 and bad.stderr and not bad.stdout, bad.stderr)
nowhere = run('events', '--case', 'clinical', '--events', '10', '-o', '/nowhere/x.lm.h5')
check('no place to write', nowhere.returncode not in (0, 2) and nowhere.stderr, nowhere.stderr)
print(f'1..{number}')
