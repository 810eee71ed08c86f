# SPDX-License-Identifier: GPL-3.0-or-later
"""isotrace bench: what it prints is complete and consistent; wrong usage exits 2."""
import json
import os
import subprocess

number = 0


def check(name, ok, note=''):
    global number
    number += 1
    print(f"{'ok' if ok else 'not ok'} {number} - bench: {name}" + (f' # {note}' if note and not ok else ''))


def run(*options):
    return subprocess.run([os.environ['ISOTRACE'], 'bench', *options], capture_output=True, text=True)


done = run('projector', '--events', '2000', '--threads', '2', '--json')
report = json.loads(done.stdout) if done.returncode == 0 else {'cases': []}
check('exit code 0', done.returncode == 0, done.stderr)
check('with and without TOF', [case['tof'] for case in report['cases']] == [False, True])
# sums of the same products in two orders: float rounding only
check('adjoint error', all(case['adjoint_error'] < 1e-6 for case in report['cases']))
check('speeds', all(case[key] > 1000 for case in report['cases'] for key in
                    ('forward_events_per_s', 'adjoint_events_per_s', 'both_events_per_s')))
# both directions take longer than either
check('both is slower than either', all(case['both_events_per_s'] < 1.05 * min(case['forward_events_per_s'], case['adjoint_events_per_s'])
                                        for case in report['cases']))
table = run('projector', '--events', '500', '--case', 'clinical')
check('a table without --json', table.returncode == 0 and 'non-TOF' in table.stdout and len(table.stdout.splitlines()) == 3)
for options in ([], ['nothing'], ['projector', 'projector'], ['projector', '--events', '0'], ['projector', '--case', 'x'],
                ['projector', '--threads', 'two']):
    bad = run(*options)
    check(f'wrong usage {options}', bad.returncode == 2 and bad.stderr and not bad.stdout, bad.stderr)
print(f'1..{number}')
