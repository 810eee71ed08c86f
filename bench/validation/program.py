# SPDX-License-Identifier: GPL-3.0-or-later
"""isotrace as the proofs call it: every file is made once, in the working folder, and made again when what it depends on changes."""
import glob
import hashlib
import json
import os
import subprocess
import time

import listmode

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def digest(*parts):
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()


def digest_files(paths):
    whole = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            whole.update(file.read())
    return whole.hexdigest()


class Refused(Exception):
    """isotrace ended with an error; the text is what it said."""


class Program:
    def __init__(self, path, work, share=1.0, any_build=False, say=print):
        self.path, self.work, self.share, self.say = os.path.abspath(path), os.path.abspath(work), share, say
        library = glob.glob(os.path.join(os.path.dirname(os.path.dirname(self.path)), "libisotrace.so.[0-9]*.[0-9]*.[0-9]*"))
        self.build = "any" if any_build else digest_files([self.path] + sorted(f for f in library if os.path.isfile(f)))
        self.seconds = {}
        self._help, self._known = {}, {}
        os.makedirs(self.work, exist_ok=True)

    # ---- what this build can do ----

    def options(self, verb):
        """The words that `isotrace VERB --help` lists; none when there is no such verb."""
        if verb not in self._help:
            shown = subprocess.run([self.path, verb, "--help"], capture_output=True, text=True)
            self._help[verb] = shown.stdout if shown.returncode == 0 else ""
        return self._help[verb]

    def takes(self, verb, option):
        return option in self.options(verb)

    def understands(self, what, scene):
        """Whether a scene with a key that may be new is accepted: it is simulated for a millisecond."""
        if what not in self._known:
            try:
                self._run("simulate", self._write("probe", scene.text()), "-o", os.path.join(self.work, "probe.lm.h5"), "--duration",
                          "0.001", "-q")
                self._known[what] = True
            except Refused as refusal:
                if os.environ.get("VALIDATE_VERBOSE"):
                    self.say(f"# {what}: {refusal}")
                self._known[what] = False
        return self._known[what]

    # ---- running it ----

    def _run(self, *words):
        environment = dict(os.environ, OMP_WAIT_POLICY="passive", LC_ALL="C.UTF-8")
        done = subprocess.run([self.path, *words], capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            raise Refused(f"isotrace {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def _write(self, name, text):
        path = os.path.join(self.work, name + ".scene.yaml")
        with open(path, "w") as file:
            file.write(text)
        return path

    def _made(self, mark, key):
        try:
            with open(mark) as file:
                kept = json.load(file)
        except (OSError, ValueError):
            return None
        return kept["seconds"] if kept["key"] == key else None

    def _mark(self, verb, name):
        return os.path.join(self.work, f"{name}.{verb}.made")

    def _remember(self, verb, name, key, seconds, command):
        with open(self._mark(verb, name), "w") as file:
            json.dump({"key": key, "seconds": seconds, "command": command}, file)

    def _key(self, made, verb="simulate"):
        """What a scan (or the volume of a path) was made of."""
        with open((made if isinstance(made, str) else made.base) + f".{verb}.made") as file:
            return json.load(file)["key"]

    def _make(self, verb, name, key, words):
        """Runs a verb unless its files are there; remembers how long it took."""
        seconds = self._made(self._mark(verb, name), key)
        if seconds is None:
            self.say(f"# {verb} {name}", flush=True)
            began = time.time()
            self._run(verb, *words)
            seconds = time.time() - began
            self._remember(verb, name, key, seconds, " ".join(["isotrace", verb, *words]))
        self.seconds[verb, name] = seconds

    def simulate(self, name, scene):
        """The scan of a scene: a Scan. With a share below 1, it lasts as much shorter."""
        text = scene.text(self.share)
        path = self._write(name, text)
        base = os.path.join(self.work, name)
        self._make("simulate", name, digest(self.build, text),
                   [path, "-q", "-o", base + ".lm.h5", "--labels", base + ".labels.nii.gz", "--organ-table", base + ".labels.csv", "--mu",
                    base + ".mu.nii.gz", "--dose", base + ".dose.yaml"])
        return Scan(base)

    def join(self, name, parts):
        """One Scan of scans that follow one another; a run that was stopped goes on with the next part."""
        return self._derive(name, digest(*(self._key(part) for part in parts)), lambda base: listmode.join([part.base for part in parts], base))

    def choose(self, scan, name, fates):
        """A Scan of the prompts of these fates."""
        return self._derive(name, digest(self._key(scan), *fates), lambda base: listmode.choose(scan.base, fates, base))

    def _derive(self, name, key, make):
        base = os.path.join(self.work, name)
        if self._made(self._mark("simulate", name), key) is None:
            make(base)
            self._remember("simulate", name, key, 0.0, "of other list-mode")
        return Scan(base)

    def reconstruct(self, scan, name, settings, extra=()):
        """A volume: its path without ending. Settings are a dictionary of options without their dashes; False leaves one out."""
        base = os.path.join(self.work, name)
        words = [scan.listmode, "-q", "-o", base + ".nii.gz", "--sensitivity-cache", os.path.join(self.work, "sensitivity")]
        for option, value in settings.items():
            if value is True:
                words.append("--" + option)
            elif value is not False and value is not None:
                words += ["--" + option, str(value)]
        words += extra
        self._make("recon", name, digest(self.build, self._key(scan), *words), words)
        return base

    def normalise(self, scan, name, words):
        """The path of a normalisation file."""
        path = os.path.join(self.work, name + ".norm.h5")
        self._make("normalise", name, digest(self.build, self._key(scan), *words), [scan.listmode, *words, "-o", path, "-q"])
        return path

    def calibrate(self, volume, name, words):
        """The path of a calibration file, made from the image of a phantom."""
        path = os.path.join(self.work, name + ".cal.json")
        self._make("calibrate", name, digest(self.build, self._key(volume, "recon"), *words), [volume + ".nii.gz", *words, "-o", path, "-q"])
        return path

    def quantify(self, scan, volume, name, dose=None):
        """The rows of biodistribution.csv, by organ and frame."""
        folder = os.path.join(self.work, name)
        words = [volume + ".nii.gz", "-q", "--organs", scan.base + ".labels.nii.gz", "--organ-table", scan.base + ".labels.csv", "--dose",
                 dose or scan.base + ".dose.yaml", "-o", folder]
        self._run("quant", *words)
        with open(os.path.join(folder, "biodistribution.csv")) as file:
            lines = [line.rstrip("\n").split(",") for line in file if not line.startswith("#")]
        return [dict(zip(lines[0], row)) for row in lines[1:]]


class Scan:
    """A simulated scan and its truth."""

    def __init__(self, base):
        self.base, self.listmode = base, base + ".lm.h5"
        with open(base + ".truth.json") as file:
            self.truth = json.load(file)
        with open(base + ".scene.yaml") as file:
            self.scene = file.read()
        self.truth["scanner"] = next(line for line in self.scene.splitlines() if line.startswith("detector:"))
        self.organs = {row["organ"]: row for row in self.truth["organs"]}

    def fates(self):
        """{trues, scattered, randoms, other}: prompts by what the Monte Carlo knows of them."""
        import h5py
        with h5py.File(self.listmode) as file:
            if "truth/fate" not in file:
                counts = self.truth["counts"]
                return {"trues": counts["trues"], "scattered": 0, "randoms": counts["randoms"], "other": 0}
            prompt = file["events/kind"][:] == 0
            fate = file["truth/fate"][:][prompt]
        found = {"trues": int((fate == 0).sum()), "scattered": int((fate == 1).sum()), "randoms": int((fate == 2).sum())}
        found["other"] = int(prompt.sum()) - sum(found.values())
        return found
