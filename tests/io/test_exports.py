#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""isotrace convert and info as a user meets them: the real exports, headers that lie, damaged files, and the native
file as h5py sees it. What the exports hold is decoded here a second time, with numpy and from the formats' description."""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

import h5py
import numpy as np

PROGRAM = os.environ['ISOTRACE']
SHARED = os.environ.get('ISOTRACE_SHARED') or os.path.join(os.environ['ISOTRACE_SOURCE_ROOT'], '..', 'shared')
MMR = os.path.join(SHARED, 'data', 'mmr_listmode')
SAFIR = os.path.join(SHARED, 'data', 'safir_virtual')
WORK = tempfile.mkdtemp(prefix='isotrace-exports-')

# A small scanner of the same kind: 4 rings of 24 crystals, differences up to 2, 10 projections of 12 views.
HEADER = '''!INTERFILE:=
%SMS-MI header name space:=PETLINK bin address
!data offset in bytes:=0
name of data file := small.l
!type of data:=PET
%study date (yyyy:mm:dd):=2024:02:29
%study time (hh:mm:ss GMT+01:00):=00:30:00
isotope name:=Cu-64
%patient orientation:=HFS
data format:=CoincidenceList
PET scanner type:=cylindrical
Number_of_rings:=4
DISTANCE between   rings (cm):=0.3
gantry crystal radius (cm):=4.0
%number of TOF time bins:=1
image duration (sec):=1
%total listmode word counts:={words}
%LM event and tag words format (bits):=32
%timing tagwords interval (msec):=1
%axial compression:=1
%maximum ring difference:=2
%number of projections:=10
%number of views:=12
'''
TIME, PROMPT = 0x80000000, 0x40000000
BINS = 10 * 12 * (4 + 2 * 3 + 2 * 2)


def run(*arguments):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def info(path, *more):
    code, out, text = run('info', path, '--json', *more)
    assert code == 0, text
    return json.loads(out)


def refused(code, *words, arguments, leaves=None):
    """The exit code, after any warnings a message of one line with these words, and no output."""
    got, _, text = run(*arguments)
    assert got == code, f'exit {got}, wanted {code}: {text}'
    text = ''.join(line for line in text.splitlines(True) if not line.startswith('warning: '))
    assert text.startswith('isotrace: ') and text.count('\n') == 1, text
    for word in words:
        assert word in text, f'no {word!r} in {text}'
    if leaves:
        assert not os.path.exists(leaves), leaves


def words_of_a_second():
    """1001 tags, between them events at addresses that avoid nothing: this scanner has no known gaps."""
    random = np.random.default_rng(3)
    words = []
    for ms in range(1001):
        words.append(TIME | ms)
        for address in random.integers(0, BINS, 3):
            words.append(PROMPT * int(random.integers(0, 2)) | int(address))
    return words


def small(header=HEADER, words=None, extra=b'', stated=None, name='small'):
    """Writes header and data, returns (header's path, output's path)."""
    words = words_of_a_second() if words is None else words
    folder = tempfile.mkdtemp(dir=WORK)
    with open(os.path.join(folder, 'small.l'), 'wb') as file:
        file.write(struct.pack(f'<{len(words)}I', *words) + extra)
    path = os.path.join(folder, name + '.l.hdr')
    with open(path, 'w') as file:
        file.write(header.replace('{words}', str(len(words) if stated is None else stated)))
    return path, os.path.join(folder, 'out.lm.h5')


def test_real_petlink():
    if not os.path.exists(MMR):
        return 'no shared data'
    header = os.path.join(MMR, 'PET_ACQ_small.l.hdr.STIR')
    out = os.path.join(WORK, 'mmr.lm.h5')
    refused(3, '331257106', '254816', '--require-complete', leaves=out,
            arguments=('convert', header, '--require-complete', '-o', out))
    code, text, errors = run('convert', header, '-o', out)
    assert code == 0 and 'warning: truncated: 254816 of the 331257106' in errors, errors
    code, text, errors = run('convert', header, '--json', '-o', out)
    assert code == 0 and errors == '', errors
    for facts in json.loads(text), info(header), info(os.path.join(MMR, 'small_listmode_file.l')), info(out):
        assert facts['prompts'] == 218881 and facts['delayeds'] == 35320 and facts['records'] == 254816
        assert facts['time_tags'] == 613 and facts['other_tags'] == 2 and facts['rejected'] == {}
        assert facts['duration_s'] == 0.612 and facts['modality'] == 'PET' and facts['nuclide'] == 'F-18'
        assert facts['elements'] == 32256 and facts['start'] == '2017-03-27T17:00:35Z'
        assert 'mMR' in facts['scanner'] and facts['units'] == 'events'
        assert any('truncated' in line for line in facts['warnings'])
    # a second decoding, in numpy
    words = np.fromfile(os.path.join(MMR, 'small_listmode_file.l'), '<u4')
    event = words >> 31 == 0
    address = (words[event] & 0x3fffffff).astype(np.int64)
    tang, view, sinogram = address % 344 - 172, address // 344 % 252, address // (344 * 252)
    first, second = (view + (tang >> 1)) % 504, (view - ((tang + 1) >> 1) + 252) % 504
    rings = []
    for difference in range(61):
        for sign in ((-1, 1) if difference else (1,)):
            for axial in range(64 - difference):
                rings.append((axial, axial + difference)[::sign])
    rings = np.array(rings)[sinogram]
    times = np.maximum.accumulate(np.where(words >> 29 == 4, words & 0x1fffffff, 0))[event]
    with h5py.File(out) as file:
        assert file.attrs['format'] == b'isotrace list-mode' and file.attrs['complete'] == 1
        events = file['events']
        assert np.array_equal(events['element'][:, 0], rings[:, 0] * 504 + first)
        assert np.array_equal(events['element'][:, 1], rings[:, 1] * 504 + second)
        assert np.array_equal(events['kind'][:], 1 - (words[event] >> 30 & 1))
        assert np.array_equal(events['time_ms'][:], times)
        assert events['element'].chunks == (65536, 2) and events['element'].compression == 'gzip'
        assert events['index'][0] == 0 and len(events['index']) == 1
        assert file['scanner/position_mm'].shape == (32256, 3)
        assert file['scanner'].attrs['max_axial_difference_mm'] == 60.5 * 4.0625
        assert 'calibration_factor' not in file['scanner'].attrs and 'subject' not in file['acquisition'].attrs
        assert file['acquisition'].attrs['start_utc'] == b'2017-03-27T17:00:35Z'
        provenance = json.loads(file['provenance'][()])
    assert provenance['export']['truncated'] is True and len(provenance['files'][1]['sha256']) == 64


def test_real_safir():
    if not os.path.exists(SAFIR):
        return 'no shared data'
    export, crystals = os.path.join(SAFIR, 'point_5.clm.safir'), os.path.join(SAFIR, 'crystal_map_front.txt')
    out = os.path.join(WORK, 'safir.lm.h5')
    refused(2, '--crystal-map', arguments=('convert', export, '-o', out), leaves=out)
    code, text, errors = run('convert', export, '--crystal-map', crystals, '--nuclide', 'F-18', '--start',
                             '2026-03-14T10:26:53+01:00', '--tracer', 'point', '--calibration-factor', '2.5', '-q', '-o', out)
    assert code == 0 and errors == '' and text == '', errors
    for facts in info(export), info(export, '--crystal-map', crystals), info(out):
        assert facts['prompts'] + facts['delayeds'] == 35887 and facts['delayeds'] == 43
        assert facts['time_tags'] == 359 and facts['rejected'] == {} and facts['duration_s'] == 9.994
    facts = info(export)
    assert facts['nuclide'] is None and facts['start'] is None and facts['elements'] is None
    facts = info(out)
    assert facts['nuclide'] == 'F-18' and facts['start'] == '2026-03-14T09:26:53Z' and facts['elements'] == 16380
    assert facts['tracer'] == 'point' and facts['calibration_factor'] == 2.5
    table = np.loadtxt(crystals)
    words = np.fromfile(export, '<u8', offset=32)
    words = words[words >> 63 == 0]
    with h5py.File(out) as file:
        position, element = file['scanner/position_mm'][:], file['events/element'][:]
        kind, time = file['events/kind'][:], file['events/time_ms'][:]
        index = file['events/index'][:]
    assert np.allclose(position, table[:, 2:], atol=1e-5)
    assert np.array_equal(element[:, 0], (words & 255) * 180 + (words >> 16 & 0xffff))
    assert np.array_equal(element[:, 1], (words >> 8 & 255) * 180 + (words >> 32 & 0xffff))
    assert np.array_equal(kind, words >> 62 & 1) and time[-1] <= 9994
    # the index: first event at or after each second
    assert np.array_equal(index, np.searchsorted(time, 1000 * np.arange(time[-1] // 1000 + 1)))
    # Where the lines meet: minimise the distance to the lines of the prompts, outliers trimmed (the number).
    p, q = (position[element[kind == 0][:, e]].astype(float) for e in (0, 1))
    direction = (q - p) / np.linalg.norm(q - p, axis=1)[:, None]
    keep = np.ones(len(p), bool)
    for _ in range(20):
        away = np.eye(3) - direction[keep][:, :, None] * direction[keep][:, None, :]
        point = np.linalg.solve(away.sum(0), np.einsum('nij,nj->i', away, p[keep]))
        distance = np.linalg.norm(np.cross(p - point, direction), axis=1)
        keep = distance < 3
    # half a crystal pitch of 2.2 mm over sqrt(10^4 lines) is 0.01 mm; the trimming's edge moves it by some 0.01 more
    assert np.abs(point - [4.603, -0.002, 0]).max() < 0.05, point


def test_small_petlink():
    path, out = small()
    refused(3, '--mean-depth', arguments=('convert', path, '-o', out), leaves=out)
    code, _, errors = run('convert', path, '--mean-depth', '2.5', '-o', out)
    assert code == 0, errors
    facts = info(out)
    # the header's clock is one hour east of Greenwich and the day a leap day
    assert facts['start'] == '2024-02-28T23:30:00Z' and facts['nuclide'] == 'Cu-64' and facts['duration_s'] == 1
    assert facts['prompts'] + facts['delayeds'] == 3003 and facts['elements'] == 96
    assert any('not known' in line for line in facts['warnings'])
    with h5py.File(out) as file:
        assert np.allclose(file['scanner/position_mm'][0], [0, -42.5, -4.5], atol=1e-5)
    refused(3, 'nuclide', 'Cu-64', 'F-18', leaves=out + '2',
            arguments=('convert', path, '--mean-depth', '2.5', '--nuclide', 'F-18', '-o', out + '2'))
    # native to native keeps events and fates, adds facts
    code, _, errors = run('convert', out, '--subject', 'M01', '-o', out + '3')
    assert code == 0, errors
    again = info(out + '3')
    assert again['subject'] == 'M01' and again['prompts'] == facts['prompts'] and again['records'] == facts['records']
    # feet first on the back: left and right, head and feet change places
    path, out = small(HEADER.replace('HFS', 'FFS'))
    assert run('convert', path, '--mean-depth', '2.5', '-o', out)[0] == 0
    with h5py.File(out) as file:
        assert np.allclose(file['scanner/position_mm'][6], [-42.5, 0, 4.5], atol=1e-5)


def test_time_zero():
    # An extract from the middle: the first tag is 0, the start moves with it, events before it have time 0.
    words = [PROMPT | 5, TIME | 2000, PROMPT | 6, TIME | 2001, 7, TIME | 2600, PROMPT | 8]
    path, out = small(words=words)
    code, _, errors = run('convert', path, '--mean-depth', '0', '-o', out)
    assert code == 0, errors
    facts = info(out)
    assert facts['start'] == '2024-02-28T23:30:02Z' and facts['duration_s'] == 0.6, facts
    with h5py.File(out) as file:
        assert list(file['events/time_ms']) == [0, 0, 1, 600] and list(file['events/kind']) == [0, 0, 1, 0]


def test_headers_that_lie():
    change = lambda a, b: HEADER.replace(a, b)
    cases = [
        (change('small.l', 'absent.l'), 'absent.l'),
        (change('(bits):=32', '(bits):=64'), '64'),
        (change('(bits):=32', '(bits):='), 'bits'),
        (change('ring difference:=2', 'ring difference:=4'), 'ring difference'),
        (change('rings:=4', 'rings:=-3'), 'rings'),
        (change('rings:=4', 'rings:=four'), 'four'),
        (change('rings:=4', 'rings:=2'), 'ring difference'),
        (change('rings:=4', 'rings:=3'), 'do not have'.replace('do', 'does')),
        (change('projections:=10', 'projections:=24'), 'projections'),
        (change('views:=12', 'views:=6'), 'projections'),
        (change('views:=12', 'views:=8'), 'does not have'),
        (change('axial compression:=1', 'axial compression:=11'), 'axial compression'),
        (change('TOF time bins:=1', 'TOF time bins:=13'), 'tof'),
        (change('CoincidenceList', 'Sinogram'), 'CoincidenceList'),
        (change('duration (sec):=1', 'duration (sec):=nan'), 'duration'),
        (change('2024:02:29', '2023:02:29'), 'calendar'),
        (change('HFS', 'upside down'), 'orientation'),
        (change('data offset in bytes:=0', 'data offset in bytes:=2'), '2 bytes'),
        (HEADER + 'number of rings:=5\n', 'line 12'),
    ]
    for header, word in cases:
        path, out = small(header)
        refused(3, word, arguments=('convert', path, '--mean-depth', '0', '-o', out), leaves=out)
        assert sorted(os.listdir(os.path.dirname(path))) == ['small.l', 'small.l.hdr']
    # fewer and more records than stated
    path, out = small(stated=5000)
    refused(3, '5000', leaves=out, arguments=('convert', path, '--mean-depth', '0', '--require-complete', '-o', out))
    assert run('convert', path, '--mean-depth', '0', '-o', out)[0] == 0
    os.remove(out)
    path, out = small(stated=4000)
    refused(3, '4000', leaves=out, arguments=('convert', path, '--mean-depth', '0', '-o', out))
    # a record cut in two, with its place
    path, out = small(extra=b'\1\2\3')
    refused(3, f'byte {4 * 4004}', leaves=out,
            arguments=('convert', path, '--mean-depth', '0', '-o', out))
    # the same for info
    refused(3, f'byte {4 * 4004}', arguments=('info', path, '--json'))


def test_damaged_words():
    words = words_of_a_second()
    backwards = words[:]
    backwards[4 * 500] = TIME | 3
    path, out = small(words=backwards)
    refused(3, f'byte {16 * 500}', 'backwards', arguments=('convert', path, '--mean-depth', '0', '-o', out), leaves=out)
    # tags far beyond the duration that the header states
    late = words[:]
    late[-4] = TIME | 90000
    path, out = small(words=late)
    refused(3, '90.000 s', arguments=('convert', path, '--mean-depth', '0', '-o', out), leaves=out)
    # two addresses that the layout does not have: counted, reported, the rest converted
    damaged = words[:]
    damaged[1] = PROMPT | BINS
    damaged[4001] = 0x3fffffff
    path, out = small(words=damaged)
    code, _, errors = run('convert', path, '--mean-depth', '0', '-o', out)
    assert code == 0, errors
    facts = info(out)
    assert facts['rejected'] == {'element outside the scanner': 2} and facts['prompts'] + facts['delayeds'] == 3001
    assert any('2 records rejected' in line for line in facts['warnings'])
    # no time tag, no record at all
    path, out = small(words=[PROMPT | 1, PROMPT | 2])
    refused(3, 'time tag', arguments=('convert', path, '--mean-depth', '0', '-o', out), leaves=out)
    path, out = small(words=[])
    refused(3, 'no record', arguments=('convert', path, '--mean-depth', '0', '-o', out), leaves=out)


def test_data_file_named():
    path, out = small()
    data = os.path.join(os.path.dirname(path), 'small.l')
    assert info(data)['records'] == 4004
    shutil.copy(path, path + '.old')
    refused(3, 'header', arguments=('info', data))
    for name in path, path + '.old':
        os.remove(name)
    refused(3, 'no list-mode', arguments=('convert', data, '-o', out), leaves=out)


def test_safir_damaged():
    crystals = os.path.join(WORK, 'map.txt')
    rows = [f'{r},{d},{10 * np.cos(d)},{10 * np.sin(d)},{r}' for r in range(3) for d in range(6)]
    with open(crystals, 'w') as file:
        file.write('# ring det x y z\n' + '\n'.join(rows) + '\n')
    event = lambda ra, da, rb, db: ra | rb << 8 | da << 16 | db << 32
    tag = lambda ms: 1 << 63 | ms
    path, out = os.path.join(WORK, 'x.clm.safir'), os.path.join(WORK, 'x.lm.h5')

    def write(words, signature=b'SAFIR CListModeData', extra=b''):
        with open(path, 'wb') as file:
            file.write(signature.ljust(32, b'\0') + struct.pack(f'<{len(words)}Q', *words) + extra)

    good = [tag(7), event(0, 0, 2, 3), event(1, 1, 1, 1), event(0, 0, 2, 3) | 1 << 58, event(0, 1, 2, 9), tag(9)]
    write(good)
    code, text, errors = run('convert', path, '--crystal-map', crystals, '--json', '-o', out)
    assert code == 0, errors
    facts = json.loads(text)
    assert facts['prompts'] == 1 and facts['records'] == 6 and len(facts['rejected']) == 3 and facts['duration_s'] == 0.002
    os.remove(out)
    convert = ('convert', path, '--crystal-map', crystals, '-o', out)
    write(good, extra=b'abc')
    refused(3, f'byte {32 + 8 * 6}', arguments=convert, leaves=out)
    write(good + [tag(8)] + good[-1:])
    refused(3, f'byte {32 + 8 * 6}', 'backwards', arguments=convert, leaves=out)
    write([tag(0)] + [event(0, 0, 2, 9)] * 50 + [tag(1)])
    refused(3, 'crystal map', arguments=convert, leaves=out)
    write(good, signature=b'OTHER CListModeData')
    refused(3, 'no list-mode', arguments=convert, leaves=out)
    write(good)
    for bad, word in (rows[:-1], 'not complete'), (rows[:-1] + rows[:1], 'twice'), (rows[:5] + ['0,5,a,b,c'], 'line 7'), \
                     ([], '0 crystals'), (['0,0,1,2'], '5 or 6'), (rows + ['9,9,0,0,1'], 'axis'):
        with open(crystals, 'w') as file:
            file.write('# ring det x y z\n' + '\n'.join(bad) + '\n')
        refused(3, word, 'map.txt', arguments=convert, leaves=out)


def test_native_that_lies():
    path, out = small()
    assert run('convert', path, '--mean-depth', '0', '-q', '-o', out)[0] == 0

    def replace(name, make):
        def change(file):
            values = file[name][:]
            del file[name]
            file[name] = make(values)
        return change

    def attribute(group, name, value):
        def change(file):
            file[group].attrs[name] = value
        return change

    def sparse(file):
        for name in 'time_ms', 'element', 'tof_bin', 'kind', 'window':
            file['events'][name].resize(10 ** 15, axis=0)
        file['counts'].attrs['prompts'] = np.uint64(10 ** 15 - int(file['counts'].attrs['delayeds']))

    beyond = np.vectorize(lambda t: t + 5000)
    cases = [('complete', lambda f: f.attrs.__delitem__('complete'), 'never finished'),
             ('version', attribute('/', 'format_version', 9), 'version 9'),
             ('format', attribute('/', 'format', 'something else'), 'no list-mode'),
             ('float', replace('events/time_ms', lambda t: t.astype('f4')), 'time_ms'),
             ('narrow', replace('events/element', lambda e: e.astype('u2')), 'element'),
             ('short', replace('events/kind', lambda k: k[:-1]), 'kind'),
             ('flat', replace('events/element', lambda e: e[:, 0]), 'element'),
             ('outside', replace('events/element', lambda e: e + np.uint32(4000)), 'event 0 '),
             ('late', replace('events/time_ms', lambda t: t + np.uint32(5000)), 'after the end'),
             ('unordered', replace('events/time_ms', lambda t: t[::-1].copy()), 'time'),
             ('kinds', replace('events/kind', lambda k: k + np.uint8(7)), 'neither'),
             ('counts', attribute('counts', 'prompts', np.uint64(5)), 'counts'),
             ('text', attribute('counts', 'prompts', 'many'), 'prompts'),
             ('normals', replace('scanner/normal', lambda n: 2 * n), 'orientation'),
             ('nan', replace('scanner/position_mm', lambda p: p * np.float32('nan')), 'position'),
             ('absent', lambda f: f.__delitem__('scanner'), '/scanner'),
             ('start', attribute('acquisition', 'start_utc', '12:00'), '12:00'),
             ('duration', attribute('acquisition', 'duration_s', -1.0), 'duration'),
             ('sparse', sparse, 'claims')]
    for name, change, word in cases:
        liar = os.path.join(WORK, name + '.lm.h5')
        shutil.copy(out, liar)
        with h5py.File(liar, 'r+') as file:
            change(file)
        refused(3, word, liar, arguments=('convert', liar, '-o', liar + '.out'), leaves=liar + '.out')
    # a fact added by hand, as h5py writes texts
    with h5py.File(out, 'r+') as file:
        file['acquisition'].attrs['subject'] = 'mouse \u00e4'
    assert info(out)['subject'] == 'mouse \u00e4'


def test_foreign_bytes():
    # A header in Latin-1, as old consoles write it.
    path, out = small()
    with open(path, 'rb') as file:
        text = file.read()
    with open(path, 'wb') as file:
        file.write(text + b'radiopharmaceutical:=Pr\xfcfk\xf6rper\n')
    assert run('convert', path, '--mean-depth', '0', '-o', out)[0] == 0
    assert info(out)['tracer'] == 'Pr?fk?rper'


def test_image():
    try:
        import nibabel
    except ImportError:
        return 'no nibabel'
    path = os.path.join(WORK, 'labels.nii.gz')
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), 'i2'), np.diag([-0.5, -0.5, 1, 1])), path)
    facts = info(path)
    assert facts['kind'] == 'NIfTI volume' and facts['size'] == [4, 5, 6] and facts['units'] == 'unknown'
    assert facts['voxel_mm'] == [0.5, 0.5, 1]


def test_identify():
    empty = os.path.join(WORK, 'empty')
    open(empty, 'w').close()
    for path in empty, os.path.join(WORK, 'absent'), WORK, '/dev/null':
        refused(3, path, arguments=('info', path))
    with open(os.path.join(WORK, 'x.dcm'), 'wb') as file:
        file.write(bytes(128) + b'DICM' + bytes(50))
    refused(3, 'DICOM', arguments=('info', file.name))
    refused(2, 'name', arguments=('info',))
    refused(2, '-o', arguments=('convert', empty))
    refused(2, 'zone', arguments=('convert', empty, '-o', empty + '.h5', '--start', '2026-03-14T09:26:53'))


def main():
    tests = [(name, value) for name, value in globals().items() if name.startswith('test_')]
    print(f'1..{len(tests)}')
    failed = 0
    for number, (name, test) in enumerate(tests, 1):
        try:
            skipped = test()
            print(f'ok {number} - exports: {name[5:].replace("_", " ")}' + (f' # SKIP {skipped}' if skipped else ''))
        except Exception as problem:
            failed += 1
            line = problem.__traceback__
            while line.tb_next:
                line = line.tb_next
            print(f'# line {line.tb_lineno}: {type(problem).__name__}: {problem}'.replace('\n', '\n# '))
            print(f'not ok {number} - exports: {name[5:].replace("_", " ")}')
    shutil.rmtree(WORK)
    return 1 if failed else 0


sys.exit(main())
