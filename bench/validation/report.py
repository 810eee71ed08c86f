# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/validation.md and its figures from the results."""
import os

INTRODUCTION = """# Is it right? The phantoms

Made by `scripts/validate physics`; do not edit. A Monte Carlo that knows the truth ([simulation.md](simulation.md)) puts each effect in, a correction
([reconstruction.md](reconstruction.md)) takes it out, and this page says what is left. Code: `bench/validation/`. The same at low counts runs
in `tests/validation/`.
"""


def cells(row):
    return "| " + " | ".join(str(cell) for cell in row) + " |"


def table(header, rows):
    return [cells(header), cells(["---"] * len(header)), *(cells(row) for row in rows), ""]


def number(check):
    value = f"{check['value']:+.2f}" if check["unit"] == "%" else f"{check['value']:.3f}"
    return f"{value} {check['unit']}".strip()


def summary(results):
    rows = []
    for result in results:
        checks = result["checks"]
        bad = [c for c in checks if not c["good"]]
        rows.append([f"[{result['title']}](#{anchor(result['title'])})", len(checks) - len(bad), len(checks),
                     "; ".join(f"{c['what']}: {number(c)}, limit {c['limit']:g}" for c in bad[:4]) + (f"; and {len(bad) - 4} more" if len(bad) > 4 else "")])
    return table(["phantom", "within its limit", "of", "not within it"], rows)


def anchor(title):
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c == "-")


def section(result, folder):
    out = [f"## {result['title']}", "", result["setup"], "", f"**Counts**: {result['counts']}", ""]
    for part in result["tables"]:
        out += table(part["header"], part["rows"])
    out += [remark + "\n" for remark in result["remarks"]]
    for name in result["figures"]:
        out += [f"![{name}]({folder}/{name}.svg)", ""]
    return out


def write(results, about, docs):
    """The page and its figures; about is (what, value) lines on how it was made."""
    folder = os.path.join(docs, "validation")
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        if name.endswith(".svg"):
            os.remove(os.path.join(folder, name))
    for result in results:
        for name, svg in result["figures"].items():
            with open(os.path.join(folder, name + ".svg"), "w") as file:
                file.write(svg)
    lines = [INTRODUCTION, *table(["", ""], about), *summary(results)]
    for result in results:
        lines += section(result, "validation")
    with open(os.path.join(docs, "validation.md"), "w") as file:
        file.write("\n".join(lines).rstrip("\n") + "\n")
