"""Charts as SVG text: axes with round ticks, lines, bars. Enough for four panels on a page, and no dependency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

INK, FAINT, GRID, PAPER = "#1f2933", "#616e7c", "#e4e7eb", "#ffffff"
COLORS = ("#1f6feb", "#d9480f", "#2b8a3e", "#862e9c", "#0c8599", "#5c3c1e")
FONT = "font-family='Helvetica, Arial, sans-serif'"
WIDTH, HEIGHT = 470, 280
LEFT, RIGHT, TOP, BOTTOM = 62, 18, 52, 46


@dataclass(frozen=True, slots=True)
class Scale:
    """Values to pixels. log: decades are equally wide; then `low` is positive."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, v = self.low, self.high, value
        if self.log:
            low, high, v = math.log(low), math.log(high), math.log(max(value, self.low))
        share = (v - low) / (high - low)
        return self.begin + min(max(share, 0.0), 1.0) * (self.end - self.begin)

    def ticks(self) -> list[float]:
        return log_ticks(self.low, self.high) if self.log else ticks(self.low, self.high)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round values from low to high, multiples of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(step * i, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten within [low, high]; powers alone where that would be many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        found = [round(m * 10.0**p, 12) for p in powers for m in steps if low <= m * 10.0**p <= high]
        if len(found) <= 8:
            return found
    return found[:: math.ceil(len(found) / 8)]


def label(value: float) -> str:
    """Short: 1500 as 1.5k."""
    if abs(value) >= 10000:
        return f"{value / 1000:.4g}k"
    return f"{value:.4g}"


@dataclass(slots=True)
class Panel:
    """One chart. Elements are drawn in the order of the calls; `svg` places it. whole: y counts things."""

    title: str
    x_label: str
    x: tuple[float, float]
    y: tuple[float, float]
    log_x: bool = False
    log_y: bool = False
    whole: bool = False
    legend: list[tuple[str, str]] = field(default_factory=list)
    _parts: list[str] = field(default_factory=list)

    @property
    def scale_x(self) -> Scale:
        return Scale(*self.x, LEFT, WIDTH - RIGHT, self.log_x)

    @property
    def scale_y(self) -> Scale:
        return Scale(*self.y, HEIGHT - BOTTOM, TOP, self.log_y)

    def bars(self, edges: Sequence[float], heights: Sequence[float], color: str = COLORS[0]) -> None:
        x, y = self.scale_x, self.scale_y
        for a, b, height in zip(edges, edges[1:], heights, strict=False):
            if height > 0:
                left, width, top = x(a), max(x(b) - x(a) - 0.8, 0.8), y(height)
                self._parts.append(
                    f"<rect x='{left:.1f}' y='{top:.1f}' width='{width:.1f}' height='{y(0) - top:.1f}' fill='{color}' "
                    f"fill-opacity='0.75'/>"
                )

    def line(self, points: Sequence[tuple[float, float]], color: str, name: str = "", *, marks: bool = False) -> None:
        x, y = self.scale_x, self.scale_y
        placed = [(x(a), y(b)) for a, b in points if not math.isnan(b)]
        if placed:
            path = " ".join(f"{a:.1f},{b:.1f}" for a, b in placed)
            self._parts.append(f"<polyline points='{path}' fill='none' stroke='{color}' stroke-width='1.8'/>")
            if marks:
                self._parts += [f"<circle cx='{a:.1f}' cy='{b:.1f}' r='3' fill='{color}'/>" for a, b in placed]
        if name:
            self.legend.append((name, color))

    def steps(self, points: Sequence[tuple[float, float]], color: str, name: str = "") -> None:
        """A line that keeps each value until the next point."""
        corners: list[tuple[float, float]] = []
        for time, value in points:
            if corners:
                corners.append((time, corners[-1][1]))
            corners.append((time, value))
        self.line(corners, color, name)

    def marker(self, value: float, name: str, color: str) -> None:
        """A vertical line at a value of x."""
        at = self.scale_x(value)
        self._parts.append(
            f"<line x1='{at:.1f}' x2='{at:.1f}' y1='{TOP}' y2='{HEIGHT - BOTTOM}' stroke='{color}' stroke-width='1.4' "
            f"stroke-dasharray='4 3'/>"
        )
        self.legend.append((name, color))

    def svg(self, left: float, top: float) -> str:
        x, y = self.scale_x, self.scale_y
        out = [f"<g transform='translate({left:g},{top:g})'>"]
        style = f"font-size='14' font-weight='bold' fill='{INK}'"
        out.append(f"<text x='{LEFT}' y='20' {style}>{escape(self.title)}</text>")
        floor = HEIGHT - BOTTOM
        for value in y.ticks():
            if self.whole and value != int(value):
                continue
            at = y(value)
            out.append(f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{at:.1f}' y2='{at:.1f}' stroke='{GRID}'/>")
            out.append(_text(LEFT - 7, at + 4, label(value), "end"))
        for value in x.ticks():
            at = x(value)
            out.append(f"<line x1='{at:.1f}' x2='{at:.1f}' y1='{floor}' y2='{floor + 4}' stroke='{INK}'/>")
            out.append(_text(at, floor + 17, label(value), "middle"))
        out += self._parts
        out.append(f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{floor}' y2='{floor}' stroke='{INK}'/>")
        out.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, self.x_label, "middle"))
        at = float(LEFT)
        for name, color in self.legend:
            out.append(f"<rect x='{at:.1f}' y='31' width='12' height='4' fill='{color}'/>")
            out.append(_text(at + 16, 38, name, "start"))
            at += 30 + 6.2 * len(name)
        out.append("</g>")
        return "\n".join(out)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' font-size='11' fill='{FAINT}' text-anchor='{anchor}'>{escape(text)}</text>"


def page(title: str, subtitle: str, panels: Sequence[Panel]) -> str:
    """Panels in two columns under a title: a whole SVG document."""
    rows = (len(panels) + 1) // 2
    width, height = 2 * WIDTH + 30, 64 + rows * (HEIGHT + 12) + 8
    size = f"width='{width}' height='{height}'"
    out = [
        f"<svg xmlns='http://www.w3.org/2000/svg' {size} viewBox='0 0 {width} {height}' {FONT}>",
        f"<rect width='{width}' height='{height}' fill='{PAPER}'/>",
        f"<text x='22' y='30' font-size='18' font-weight='bold' fill='{INK}'>{escape(title)}</text>",
        f"<text x='22' y='50' font-size='12' fill='{FAINT}'>{escape(subtitle)}</text>",
    ]
    for i, panel in enumerate(panels):
        out.append(panel.svg(10 + (i % 2) * (WIDTH + 10), 64 + (i // 2) * (HEIGHT + 12)))
    out.append("</svg>\n")
    return "\n".join(out)
