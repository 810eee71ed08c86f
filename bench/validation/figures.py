# SPDX-License-Identifier: GPL-3.0-or-later
"""Small SVG figures."""
import html
import math

COLOURS = ["#b5542b", "#2b6cb5", "#4d8b3a", "#7a4da0", "#a08a2b", "#555555"]
LEFT, TOP, WIDTH, HEIGHT = 56, 34, 460, 220


def text(x, y, words, size=11, anchor="middle", colour="#222"):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{html.escape(words)}</text>'


def ticks(low, high):
    step = 10**math.floor(math.log10((high - low) / 4))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (m * step) <= 6)
    return [n * step for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def frame(title, low, high, width=WIDTH, height=HEIGHT, legend=()):
    """The open figure and the function from value to y."""
    at = lambda v: TOP + height - height * (min(max(v, low), high) - low) / (high - low)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + width + 190} {TOP + height + 44}" font-family="sans-serif">',
           f'<rect width="{LEFT + width + 190}" height="{TOP + height + 44}" fill="#fff"/>', text(LEFT, 18, title, 13, "start")]
    for value in ticks(low, high):
        out.append(f'<line x1="{LEFT}" y1="{at(value):.1f}" x2="{LEFT + width}" y2="{at(value):.1f}" stroke="#ddd"/>')
        out.append(text(LEFT - 6, at(value) + 4, f"{value:g}", 11, "end"))
    for n, name in enumerate(legend):
        y = TOP + 14 + 17 * n
        out.append(f'<rect x="{LEFT + width + 12}" y="{y - 9}" width="10" height="10" fill="{COLOURS[n % len(COLOURS)]}"/>')
        out.append(text(LEFT + width + 27, y, name, 11, "start"))
    return out, at


def close(out):
    return "\n".join(out + ["</svg>"]) + "\n"


def bar(x, value, sd, at, colour):
    return f'<line x1="{x:.1f}" y1="{at(value - sd):.1f}" x2="{x:.1f}" y2="{at(value + sd):.1f}" stroke="{colour}"/>' if sd > 0 else ""


def curves(title, unit, lines, level, low, high):
    """Lines of (x, value, sd), and a line at the level where they should be."""
    xs = [p[0] for line in lines.values() for p in line]
    first, last = min(xs), max(xs)
    across = lambda x: LEFT + 12 + (WIDTH - 24) * (x - first) / (last - first)
    out, at = frame(title, low, high, legend=lines)
    out.append(f'<line x1="{LEFT}" y1="{at(level):.1f}" x2="{LEFT + WIDTH}" y2="{at(level):.1f}" stroke="#111"/>')
    for x in ticks(first, last):
        out.append(text(across(x), TOP + HEIGHT + 16, f"{x:g}"))
    out.append(text(LEFT + WIDTH / 2, TOP + HEIGHT + 34, unit))
    for n, line in enumerate(lines.values()):
        colour = COLOURS[n % len(COLOURS)]
        points = " ".join(f"{across(x):.1f},{at(v):.1f}" for x, v, _ in line)
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        for x, value, sd in line:
            out.append(f'<circle cx="{across(x):.1f}" cy="{at(value):.1f}" r="2.2" fill="{colour}"/>' + bar(across(x), value, sd, at, colour))
    return close(out)


def courses(title, unit_x, unit_y, lines):
    """Lines of (x, value, sd, true): dots on the true line; x as its square root, since frames grow."""
    top = 1.05 * max(max(p[1], p[3]) for line in lines.values() for p in line)
    last = max(p[0] for line in lines.values() for p in line)
    across = lambda x: LEFT + 12 + (WIDTH - 24) * math.sqrt(x / last)
    out, at = frame(f"{title}; {unit_y}", 0, top, legend=lines)
    for x in (0, 10, 30, 60, 120, 180, 240):
        if x <= last:
            out.append(text(across(x), TOP + HEIGHT + 16, f"{x:g}"))
    out.append(text(LEFT + WIDTH / 2, TOP + HEIGHT + 34, unit_x))
    for n, line in enumerate(lines.values()):
        colour = COLOURS[n % len(COLOURS)]
        out.append(f'<polyline points="{" ".join(f"{across(p[0]):.1f},{at(p[3]):.1f}" for p in line)}" fill="none" stroke="{colour}"/>')
        for x, value, sd, _ in line:
            out.append(f'<circle cx="{across(x):.1f}" cy="{at(value):.1f}" r="2.4" fill="{colour}"/>' + bar(across(x), value, sd, at, colour))
    return close(out)


def dots(title, names, series, reach):
    """A column per name, a dot with its bar for each series; values beyond the reach stand at it."""
    out, at = frame(title, -reach, reach, width=620, legend=series)
    room = 620 / len(names)
    out.append(f'<line x1="{LEFT}" y1="{at(0):.1f}" x2="{LEFT + 620}" y2="{at(0):.1f}" stroke="#111"/>')
    for c, name in enumerate(names):
        out.append(text(LEFT + room * (c + 0.5), TOP + HEIGHT + 16, name, 10))
        for n, values in enumerate(series.values()):
            value, sd = values[name]
            x = LEFT + room * (c + (n + 1) / (len(series) + 1))
            out.append(f'<circle cx="{x:.1f}" cy="{at(value):.1f}" r="2.4" fill="{COLOURS[n % len(COLOURS)]}"/>' +
                       (bar(x, value, sd, at, COLOURS[n % len(COLOURS)]) if math.isfinite(sd) else ""))
    return close(out)


def bars(title, values, reach):
    """A row per name."""
    left, row = 330, 18
    height = row * len(values) + 50
    scale = lambda v: left + 260 * min(max(v, -reach), reach) / reach / 2 + 130
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 {height}" font-family="sans-serif">',
           f'<rect width="700" height="{height}" fill="#fff"/>', text(12, 18, title, 13, "start")]
    for n, (name, value) in enumerate(values.items()):
        y = 34 + row * n
        low, high = sorted((scale(0), scale(value)))
        out.append(text(left - 8, y + 10, name, 11, "end"))
        out.append(f'<rect x="{low:.1f}" y="{y}" width="{max(high - low, 0.5):.1f}" height="{row - 5}" fill="{COLOURS[value < 0]}"/>')
        out.append(text(left + 268, y + 10, f"{value:+.1f}", 11, "start"))
    out.append(f'<line x1="{scale(0):.1f}" y1="28" x2="{scale(0):.1f}" y2="{height - 14}" stroke="#111"/>')
    return close(out)
