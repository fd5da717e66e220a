"""The geometry of the rendered solids: five bodies on a floor, shaded in numpy without a window.

Parallel rays of direction f meet a body that leans by τ and is turned by the azimuth α, seen from
the elevation e; the lamp stands at one of some places from left to right, at ℓ from the body::

    f = (0, cos e, −sin e),   up = (0, sin e, cos e),   right = (1, 0, 0)
    in the body's axes  v → L(τ)ᵀ R(α)ᵀ v,  R a turn about the vertical, L about the body's y

    sphere    |p| ≤ 0.82
    cube      |x|, |y|, |z| ≤ 0.58
    cylinder  x² + y² ≤ 0.55²,  |z| ≤ 0.68
    cone      x² + y² ≤ (0.48·(0.85 − z))²,  −0.7 ≤ z ≤ 0.85
    torus     (√(x² + y²) − 0.62)² + z² ≤ 0.27²

Light is Lambert's with a highlight of Blinn's, (n·h)³². The half x > 0 of each body is of the full
hue, the other half paler, and what is beyond y = 0.36 palest, so that the turn of a sphere or a
cylinder is seen as well. The floor is grey, and a soft shadow lies on it.

Only +, −, ×, ÷ and √ of float64 are used, each of them exactly rounded on every machine, and
cosines are rounded to nine digits first: so the bytes are the same everywhere.

Sources: Lambert 1760; Blinn 1977 (*Models of light reflection for computer synthesized pictures*);
*Sphere tracing*, The Visual Computer 12, 1996, by which rays meet the torus.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from stratigraph.shapes import Factors

__all__ = ["BODIES", "FACTOR_NAMES", "FACTOR_SIZES", "RENDERER", "render", "render_all"]

RENDERER = 1  # raise it whenever a pixel changes: it is part of every fingerprint and cache name
BODIES = ("cube", "sphere", "cylinder", "cone", "torus")
FACTOR_NAMES = ("shape", "scale", "elevation", "azimuth", "light")
FACTOR_SIZES = (5, 4, 5, 24, 6)

SCALE = (0.46, 0.58, 0.70, 0.82)  # half the picture is 1
ELEVATION = (12.0, 24.0, 36.0, 48.0, 60.0)  # degrees
LAMP = (-75.0, -45.0, -15.0, 15.0, 45.0, 75.0)  # degrees from straight on, to the right
LAMP_HEIGHT = 40.0  # degrees
LEAN = 24.0  # degrees

SPHERE = 0.82
CUBE = 0.58
CYLINDER, HALF_HEIGHT = 0.55, 0.68
CONE, TIP, BASE = 0.48, 0.85, -0.7
RING, TUBE = 0.62, 0.27
MARCH, NEAR = 48, 1e-4  # steps along a ray to the torus, and how near is on it

AMBIENT, DIFFUSE, SHINE = 0.30, 0.70, 0.30
PALE, PALEST, CAP = 0.5, 0.85, 0.36  # shares of white; where the palest part begins
FLOOR_LEVEL, FLOOR_GREY, SHADOW = -0.9, 0.62, 0.55
SAMPLES = 2  # a pixel is the mean of so many rays each way

Vector = tuple[np.ndarray | float, np.ndarray | float, np.ndarray | float]


class Hits(NamedTuple):
    """Where rays meet a body: at which distance (inf where they do not), and the normal there."""

    distance: np.ndarray
    normal: tuple[np.ndarray, np.ndarray, np.ndarray]


def _cos_sin(degrees: float) -> tuple[float, float]:
    angle = math.radians(degrees)
    return round(math.cos(angle), 9), round(math.sin(angle), 9)


def _dot(a: Vector, b: Vector) -> np.ndarray:
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def _unit(a: Vector) -> Vector:
    length = np.sqrt(_dot(a, a))
    return a[0] / length, a[1] / length, a[2] / length


def _into_body(v: Vector, azimuth: float) -> Vector:
    """A vector of the room in the axes of the body."""
    cos, sin = _cos_sin(azimuth)
    x, y, z = cos * v[0] + sin * v[1], cos * v[1] - sin * v[0], v[2]
    cos, sin = _cos_sin(LEAN)
    return cos * x + sin * z, y, cos * z - sin * x


def _at(o: Vector, d: Vector, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y, z = (np.asarray(a + t * b) for a, b in zip(o, d, strict=True))
    return x, y, z


def _nearer(one: Hits, other: Hits) -> Hits:
    first = one.distance <= other.distance
    x, y, z = (np.where(first, a, b) for a, b in zip(one.normal, other.normal, strict=True))
    return Hits(np.minimum(one.distance, other.distance), (x, y, z))


def _first_root(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both roots of a t² + 2 b t + c = 0 in their order, inf where there are none."""
    inside = b * b - a * c
    root = np.sqrt(np.maximum(inside, 0.0))
    one, two = (-b - root) / a, (-b + root) / a
    none = inside < 0
    return (
        np.where(none, np.inf, np.minimum(one, two)),
        np.where(none, np.inf, np.maximum(one, two)),
    )


def _meet_sphere(o: Vector, d: Vector) -> Hits:
    near, _ = _first_root(np.asarray(1.0), _dot(o, d), _dot(o, o) - SPHERE * SPHERE)
    return Hits(near, _at(o, d, np.where(near < np.inf, near, 0.0)))


def _meet_cube(o: Vector, d: Vector) -> Hits:
    enter = np.full(np.shape(o[0]), -np.inf)
    leave = np.full(np.shape(o[0]), np.inf)
    normal = [np.zeros(np.shape(o[0])) for _ in range(3)]
    for axis in range(3):
        along = float(d[axis]) or 1e-12
        side = -1.0 if along > 0 else 1.0
        first, last = (side * CUBE - o[axis]) / along, (-side * CUBE - o[axis]) / along
        later = first > enter
        for other in range(3):
            normal[other] = np.where(later, side if other == axis else 0.0, normal[other])
        enter, leave = np.maximum(enter, first), np.minimum(leave, last)
    return Hits(np.where(enter <= leave, enter, np.inf), (normal[0], normal[1], normal[2]))


def _meet_disc(o: Vector, d: Vector, level: float, radius: float) -> Hits:
    """A level disc, seen from outside."""
    along = float(d[2]) or 1e-12
    t = (level - o[2]) / along
    x, y, z = _at(o, d, np.asarray(t))
    up = 1.0 if level > 0 else -1.0
    met = (x * x + y * y <= radius * radius) & (along * up < 0)
    return Hits(np.where(met, t, np.inf), (np.zeros_like(x), np.zeros_like(x), up + 0.0 * z))


def _meet_cylinder(o: Vector, d: Vector) -> Hits:
    a = np.asarray(d[0] * d[0] + d[1] * d[1])
    b, c = o[0] * d[0] + o[1] * d[1], o[0] * o[0] + o[1] * o[1] - CYLINDER * CYLINDER
    near, _ = _first_root(a, np.asarray(b), np.asarray(c))
    x, y, z = _at(o, d, np.where(near < np.inf, near, 0.0))
    side = Hits(np.where(np.abs(z) <= HALF_HEIGHT, near, np.inf), (x, y, 0.0 * z))
    for level in (HALF_HEIGHT, -HALF_HEIGHT):
        side = _nearer(side, _meet_disc(o, d, level, CYLINDER))
    return side


def _meet_cone(o: Vector, d: Vector) -> Hits:
    slope = CONE * CONE
    above = o[2] - TIP
    a = np.asarray(d[0] * d[0] + d[1] * d[1] - slope * d[2] * d[2])
    b = np.asarray(o[0] * d[0] + o[1] * d[1] - slope * above * d[2])
    c = np.asarray(o[0] * o[0] + o[1] * o[1] - slope * above * above)
    found = _meet_disc(o, d, BASE, CONE * (TIP - BASE))
    for t in _first_root(a, b, c):
        x, y, z = _at(o, d, np.where(t < np.inf, t, 0.0))
        met = (z >= BASE) & (z <= TIP)
        found = _nearer(found, Hits(np.where(met, t, np.inf), (x, y, slope * (TIP - z))))
    return found


def _meet_torus(o: Vector, d: Vector) -> Hits:
    """By steps as long as the distance to the torus, of the rays that come near it."""
    shape = np.shape(o[0])
    reach = RING + TUBE
    enter, leave = _first_root(np.asarray(1.0), _dot(o, d), _dot(o, o) - reach * reach)
    going = np.flatnonzero(enter < np.inf)
    ox, oy, oz = (np.ravel(part)[going] for part in o)
    t, end = enter.ravel()[going], leave.ravel()[going]
    far = np.full(len(going), np.inf)
    for _ in range(MARCH):
        x, y, z = _at((ox, oy, oz), d, t)
        ring = np.sqrt(x * x + y * y) - RING
        far = np.sqrt(ring * ring + z * z) - TUBE
        t = t + np.where((far > NEAR) & (t <= end), far, 0.0)
    x, y, z = _at((ox, oy, oz), d, t)
    across = np.sqrt(x * x + y * y)
    # Rays that graze it may still be under way: they met it where they came nearest.
    met = (t <= end) & (far <= 0.02)
    share = 1.0 - RING / np.maximum(across, 1e-9)
    distance, normal = np.full(shape, np.inf), tuple(np.zeros(shape) for _ in range(3))
    distance.ravel()[going] = np.where(met, t, np.inf)
    for own, part in zip(normal, (x * share, y * share, z), strict=True):
        own.ravel()[going] = part
    return Hits(distance, (normal[0], normal[1], normal[2]))


MEET = {
    "cube": _meet_cube,
    "sphere": _meet_sphere,
    "cylinder": _meet_cylinder,
    "cone": _meet_cone,
    "torus": _meet_torus,
}


def _pixels(size: int) -> np.ndarray:
    return (np.arange(size * SAMPLES) + 0.5) * (2.0 / (size * SAMPLES)) - 1.0


def _render_lit(
    shape: int, scale: int, elevation: int, azimuth: int, lights: range, size: int
) -> UInt8[np.ndarray, "lights 2 size size"]:
    """One view of one body under some lamps: its coloured part, and what is white or grey."""
    grid = _pixels(size) / SCALE[scale]
    a, b = np.meshgrid(grid, -grid)  # to the right, and up
    cos, sin = _cos_sin(ELEVATION[elevation])
    forward: Vector = (0.0, cos, -sin)
    start: Vector = (a, b * sin - 4.0 * cos, b * cos + 4.0 * sin)
    turn = azimuth * (360.0 / FACTOR_SIZES[3])
    o, d = _into_body(start, turn), _into_body(forward, turn)
    hits = MEET[BODIES[shape]](o, d)
    met = hits.distance < np.inf
    t = np.where(met, hits.distance, 0.0)
    normal = _unit(tuple(np.where(met, part, 1.0) for part in hits.normal))  # type: ignore[arg-type]
    x, y, _ = _at(o, d, t)
    pale = np.where(y > CAP, PALEST, np.where(x > 0, 0.0, PALE))
    floor = _at(start, forward, np.asarray((start[2] - FLOOR_LEVEL) / sin))
    found = np.empty((len(lights), 2, size, size), dtype=np.uint8)
    for place, light in enumerate(lights):
        (left, right), (far, high) = _cos_sin(LAMP[light]), _cos_sin(LAMP_HEIGHT)
        lamp: Vector = (right * far, -left * far, high)
        own = _into_body(lamp, turn)
        shade = AMBIENT + DIFFUSE * np.maximum(_dot(normal, own), 0.0)
        half = _unit((own[0] - d[0], own[1] - d[1], own[2] - d[2]))
        shine = np.maximum(_dot(normal, half), 0.0)
        for _ in range(5):
            shine = shine * shine
        along = _dot(floor, lamp)
        near = _dot(floor, floor) - along * along  # of the ray from the floor to the lamp
        dark = np.maximum(1.0 - near / 0.9, 0.0)
        grey = FLOOR_GREY * (1.0 - SHADOW * dark * np.sqrt(dark))
        found[place, 0] = _quantise(np.where(met, shade * (1.0 - pale), 0.0), size)
        found[place, 1] = _quantise(np.where(met, shade * pale + SHINE * shine, grey), size)
    return found


def _quantise(values: np.ndarray, size: int) -> UInt8[np.ndarray, "size size"]:
    """The mean of each pixel's rays as a byte; added in a stated order, so exactly everywhere."""
    parts = np.minimum(values, 1.0).reshape(size, SAMPLES, size, SAMPLES)
    total = (parts[:, 0, :, 0] + parts[:, 0, :, 1]) + (parts[:, 1, :, 0] + parts[:, 1, :, 1])
    return np.floor(total * (255.0 / SAMPLES**2) + 0.5).astype(np.uint8)


def render(factors: Factors, size: int) -> UInt8[np.ndarray, "b 2 size size"]:
    """Some solids: the part that takes the hue, and the part that does not."""
    found = np.empty((len(factors), 2, size, size), dtype=np.uint8)
    for i, (shape, scale, elevation, azimuth, light) in enumerate(factors.tolist()):
        one = range(light, light + 1)
        found[i] = _render_lit(shape, scale, elevation, azimuth, one, size)[0]
    return found


def render_all(size: int) -> Iterator[UInt8[np.ndarray, "lights 2 size size"]]:
    """Every solid in canonical order, in blocks of one view under all lamps."""
    shapes, scales, elevations, azimuths, lights = FACTOR_SIZES
    for shape, scale, elevation, azimuth in np.ndindex(shapes, scales, elevations, azimuths):
        yield _render_lit(shape, scale, elevation, azimuth, range(lights), size)
