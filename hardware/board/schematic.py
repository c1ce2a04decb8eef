"""Schematics of the board, with the values of a profile: SVG and PDF.

    python schematic.py PROFILE.toml FOLDER

Reference designators are those of parts.toml, for cell 1 and the coupling of cells 1 and 2.
"""

import sys
import tomllib
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
# Text stays text in the SVG, and the same input gives the same file.
matplotlib.rcParams["svg.fonttype"] = "none"
matplotlib.rcParams["svg.hashsalt"] = "spu"

import schemdraw
import schemdraw.elements as elm

schemdraw.use("matplotlib")


def eng(value, unit):
    """A value with its SI prefix, three digits."""
    for scale, prefix in ((1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p")):
        if abs(value) >= scale * 0.9995 or prefix == "p":
            return f"{value / scale:.4g} {prefix}{unit}"


def text(d, x, y, words, size=11, align="center"):
    d += elm.Label().theta(0).at((x, y)).label(words, loc="center", halign=align, fontsize=size, ofst=0)


def box(d, x, y, w, h, words, size=11):
    """A block with its lower left corner at (x, y)."""
    d += elm.Rect(corner1=(0, 0), corner2=(w, h)).theta(0).at((x, y))
    text(d, x + w / 2, y + h / 2, words, size)


def wire(d, *points, label=None, at=None, size=10):
    for a, b in zip(points, points[1:]):
        d += elm.Line().at(a).to(b)
    if label:
        x, y = at or ((points[0][0] + points[-1][0]) / 2, (points[0][1] + points[-1][1]) / 2 + 0.3)
        text(d, x, y, label, size)


def arrow(d, *points, label=None, at=None, size=10):
    wire(d, *points[:-1], label=None)
    d += elm.Line(arrow="->").at(points[-2]).to(points[-1])
    if label:
        x, y = at or ((points[0][0] + points[-1][0]) / 2, (points[0][1] + points[-1][1]) / 2 + 0.3)
        text(d, x, y, label, size)


def dot(d, *points):
    for point in points:
        d += elm.Dot().at(point)


def value(profile, section, key):
    return profile[section][key]["value"]


def element(profile, bank, bit):
    return value(profile, "banks", f"{bank}_lsb") * 2**bit


def title(d, x, y, profile, words):
    text(d, x, y, f"{words} ({profile['name']})", 15, "left")


def cell(d, p):
    """One cell: drive, resonator, self bank, discharge, read-out; of a board without signs."""
    title(d, 0, 7.4, p, "Unit cell 1 of 8")
    # Drive.
    box(d, 0, -0.6, 2.4, 5.8, "U11\nDAC2904\n(half)\n20 mA")
    for y, name in ((4.3, "R102"), (0.3, "R103")):
        wire(d, (2.4, y), (5.2, y))
        dot(d, (3.4, y))
        d += elm.Resistor().at((3.4, y)).down().length(1.6).label(f"{name}\n49.9 Ω", loc="bottom", fontsize=10)
        d += elm.Ground()
    text(d, 2.9, 4.6, "IOUT", 10)
    text(d, 2.9, 0.6, "IOUT'", 10)
    d += elm.Resistor().at((5.2, 4.3)).right().length(2).label("R104  499 Ω", fontsize=10)
    d += elm.Resistor().at((5.2, 0.3)).right().length(2).label("R105  499 Ω", fontsize=10)
    amp = d.add(elm.Opamp().at((9.2, 2.3)).anchor("center").flip())
    plus, minus, out = amp.absanchors["in2"], amp.absanchors["in1"], amp.absanchors["out"]
    wire(d, (7.2, 4.3), (7.6, 4.3), (7.6, plus[1]), plus)
    wire(d, (7.2, 0.3), (7.6, 0.3), (7.6, minus[1]), minus)
    dot(d, (7.6, 4.3), (7.6, 0.3))
    d += elm.Line().at((7.6, 4.3)).up().length(1.1)
    d += elm.Resistor().at((7.6, 5.4)).right().length(2.2).label("R106  2.61 kΩ", fontsize=10)
    d += elm.Ground().right()
    wire(d, (7.6, 0.3), (7.6, -0.9))
    d += elm.Resistor().at((7.6, -0.9)).right().length(3.2).label("R107  2.61 kΩ", loc="bottom", fontsize=10)
    wire(d, (10.8, -0.9), (10.8, out[1]), out)
    dot(d, (10.8, out[1]))
    text(d, 9.0, 2.3, "U21A\nLM6172", 9)
    y = out[1]
    wire(d, (10.8, y), (11.2, y))
    full = value(p, "drive", "full_scale") * value(p, "cell", "r")
    text(d, 11.3, y + 1.0, f"± {full:.1f} V", 10)
    d += elm.Resistor().at((11.2, y)).right().length(2).label(
        f"R108\n{eng(value(p, 'cell', 'r'), 'Ω')}", loc="bottom", fontsize=10)
    # The node of the cell and what is on it.
    node = 13.2
    bits = value(p, "banks", "self_bits")
    end = node + 3.2 + 3.0 * bits + 2.4
    wire(d, (node, y), (end, y))
    text(d, node + 0.3, y + 0.35, "v₁", 12)
    dot(d, (node + 0.8, y))
    d += elm.Inductor().at((node + 0.8, y)).down().length(2.6).label(
        f"L101\n{eng(value(p, 'cell', 'l'), 'H')}", loc="bottom", fontsize=10)
    d += elm.Ground()
    number = 11
    for bit in range(bits):
        x = node + 3.2 + 3.0 * bit
        farads = element(p, "self", bit)
        refs = f"C1{number}"
        number += 1
        if abs(farads - 600e-12) < 1e-15:
            refs, number = f"C1{number - 1}+C1{number}", number + 1
        dot(d, (x, y))
        d += elm.Capacitor().at((x, y)).down().length(1.4).label(
            f"{refs}\n{eng(farads, 'F')}", loc="bottom", fontsize=9)
        d += elm.Switch().down().length(1.2).label(f"U102{'ABCD'[bit]}", loc="bottom", fontsize=9)
        d += elm.Ground()
    x = node + 3.2 + 3.0 * bits
    dot(d, (x, y))
    d += elm.Resistor().at((x, y)).down().length(1.4).label("R112\n442 Ω", loc="bottom", fontsize=9)
    d += elm.Switch().down().length(1.2).label("U51A", loc="bottom", fontsize=9)
    d += elm.Ground()
    text(d, x + 0.1, y - 4.0, "discharge", 10)
    text(d, node + 3.2 + 1.5 * (bits - 1), y - 4.0, "self bank: TMUX1511, switched by U9018 QE to QH", 10)
    dot(d, (node + 2.2, y))
    arrow(d, (node + 2.2, y), (node + 2.2, y + 1.6))
    text(d, node + 2.2, y + 1.9, "couplings to cells 2 to 8", 10)
    # Read-out.
    box(d, end, y - 0.9, 2.0, 1.8, "U31A\nOPA2810\n× 1")
    wire(d, (end + 2, y), (end + 2.6, y))
    box(d, end + 2.6, y - 1.2, 3.2, 2.4, "U105 THS4551\nR113, R114 1.00 kΩ\nR115, R116 2.00 kΩ\n× 2; R119, R120: 1.2 V", 9)
    for dy in (0.7, -0.7):
        d += elm.Resistor().at((end + 5.8, y + dy)).right().length(2).label(
            "R117  20 Ω" if dy > 0 else "R118  20 Ω", loc="top" if dy > 0 else "bottom", fontsize=9)
        wire(d, (end + 7.8, y + dy), (end + 11.2, y + dy))
        dot(d, (end + 8.2, y + dy))
    d += elm.Capacitor().at((end + 8.2, y + 0.7)).down().length(1.4).label("C101 150 pF", loc="bottom", fontsize=9)
    box(d, end + 11.2, y - 1.2, 2.6, 2.4, "U106\nADC12020\n2.0 V of U41", 9)


def coupling(d, p):
    """The bank between cells 1 and 2; of a board without signs."""
    bits = value(p, "banks", "coupling_bits")
    title(d, 0, 2.8, p, "Coupling bank of cells 1 and 2, one of 28")
    height = 2.0 * (bits - 1)
    for x, name in ((0, "v₁"), (8.4, "v₂")):
        wire(d, (x, 1.2), (x, -height))
        text(d, x, 1.6, name, 13)
    number = 11
    for bit in range(bits):
        y = -2.0 * bit
        farads = element(p, "coupling", bit)
        refs = f"C12{number}"
        number += 1
        if abs(farads - 600e-12) < 1e-15:
            refs, number = f"C12{number - 1} + C12{number}", number + 1
        dot(d, (0, y), (8.4, y))
        d += elm.Capacitor().at((0, y)).right().length(4.2).label(f"{refs}   {eng(farads, 'F')}", fontsize=11)
        d += elm.Switch().at((4.2, y)).right().length(4.2).label(f"U1201{'ABCD'[bit]}", fontsize=11)
    # The first bit that is sent ends farthest from the driver, in QH of the last register.
    chain = 8 * value(p, "banks", "self_bits") + 28 * bits
    register = 9000 + chain // 8 - 8 * value(p, "banks", "self_bits") // 8
    box(d, 11.0, -height - 0.9, 3.8, height + 2.2, "")
    text(d, 13.2, -height / 2, f"U{register}\nSN74LV595A", 12)
    for bit in range(bits):
        y = -2.0 * bit - 0.5
        arrow(d, (11.0, y), (9.4, y), label=f"SEL {'ABCD'[bit]}", at=(10.2, y + 0.3))
        text(d, 11.4, y, "Q" + "EFGH"[bit], 10)
    text(d, 0, -height - 1.6, "TMUX1511 between ± 2.5 V. The capacitors are at the cell with the smaller number.", 11, "left")


def board(d, p):
    """All blocks."""
    title(d, 0, 9.4, p, "Board")
    box(d, 0, 3.0, 3.4, 4.0, "U1\nLFE5U-25F\n\ngateware,\n96 MHz", 12)
    box(d, 0, 8.0, 3.4, 0.9, "U3  96 MHz")
    arrow(d, (1.7, 8.0), (1.7, 7.0))
    box(d, 0, 0.4, 3.4, 1.4, "J1  microcontroller\n(../wiring.md)")
    wire(d, (1.7, 1.8), (1.7, 3.0), label="SPI", at=(2.2, 2.4))
    box(d, 6.0, 6.0, 3.0, 1.4, "U11 to U14\n4 × DAC2904")
    arrow(d, (3.4, 6.7), (6.0, 6.7), label="2 × 14 bit")
    box(d, 10.6, 6.0, 3.2, 1.4, "U21 to U24\n4 × LM6172")
    arrow(d, (9.0, 6.7), (10.6, 6.7), label="8 ×")
    box(d, 15.4, 3.0, 3.8, 4.4, f"8 cells\n\nR {eng(value(p, 'cell', 'r'), 'Ω')}\nL {eng(value(p, 'cell', 'l'), 'H')}\nself banks\n8 × {value(p, 'banks', 'self_bits')} bit", 12)
    arrow(d, (13.8, 6.7), (15.4, 6.7), label="8 ×")
    box(d, 21.0, 3.0, 3.6, 4.4, f"28 couplings\n\n{value(p, 'banks', 'coupling_bits')} bit each,\n{eng(element(p, 'coupling', 0), 'F')} to\n{eng(element(p, 'coupling', value(p, 'banks', 'coupling_bits') - 1), 'F')}", 12)
    wire(d, (19.2, 5.2), (21.0, 5.2), label="v₁ … v₈")
    box(d, 10.6, 3.0, 3.2, 1.4, "buffers, drivers\n8 ×")
    arrow(d, (15.4, 3.7), (13.8, 3.7), label="8 ×")
    box(d, 6.0, 3.0, 3.0, 1.4, "U106 to U806\n8 × ADC12020")
    arrow(d, (10.6, 3.7), (9.0, 3.7), label="8 ×")
    arrow(d, (6.0, 3.7), (3.4, 3.7), label="96 lines")
    chain = 8 * value(p, "banks", "self_bits") + 28 * value(p, "banks", "coupling_bits")
    box(d, 6.0, 0.2, 3.0, 1.4, "U4  ISO7740")
    wire(d, (3.4, 3.2), (4.6, 3.2), (4.6, 0.9))
    arrow(d, (4.6, 0.9), (6.0, 0.9))
    text(d, 5.3, 2.2, "4 lines", 10)
    box(d, 10.6, 0.2, 3.2, 1.4, f"U9001 to U{9000 + -(-chain // 8)}\n{-(-chain // 8)} × SN74LV595A")
    arrow(d, (9.0, 0.9), (10.6, 0.9))
    wire(d, (13.8, 0.9), (22.8, 0.9), label=f"{chain} switches", at=(20.0, 1.25))
    dot(d, (17.3, 0.9))
    arrow(d, (17.3, 0.9), (17.3, 3.0))
    arrow(d, (22.8, 0.9), (22.8, 3.0))
    d += elm.Rect(corner1=(0, 0), corner2=(6.0, 2.4), ls="--").theta(0).at((9.8, -0.4))
    text(d, 12.8, -0.8, "between ± 2.5 V", 10)


def interfaces(d, p):
    """FPGA with its bridges, and converters, line by line."""
    title(d, 0, 10.6, p, "Converters, switches and FPGA")
    box(d, 0, 0.0, 9.4, 10.0, "")
    text(d, 1.5, 9.4, "U1", 12)
    text(d, 1.5, 5.0, "spu_core\n\n96 MHz", 12)
    box(d, 6.2, 7.0, 2.8, 2.8, "spu_dacs", 12)
    box(d, 6.2, 3.6, 2.8, 3.0, "spu_adcs", 12)
    for y, left in ((9.2, "dac_data, _write, _cell"), (7.7, "dac_update, discharge"), (6.2, "phase")):
        arrow(d, (3.0, y), (6.2, y), label=left, size=8)
    arrow(d, (6.2, 5.0), (3.0, 5.0), label=f"adc_data[{value(p, 'adc', 'bits') - 1}:0]")
    rows = (
        (9.5, "dac_even, dac_odd: D1, D2 of all, 14 bits each"),
        (8.6, "dac_write: WRT1 and WRT2, a line a part"),
        (7.7, "dac_update: CLK1 and CLK2 of all"),
        (6.1, "adc_clock: CLK of two each, 12 MHz, with dac_update"),
    )
    for y, name in rows:
        arrow(d, (9.0, y), (18.2, y), label=name)
    arrow(d, (18.2, 4.6), (9.0, 4.6), label="adc_data: 8 × D0 to D11")
    box(d, 18.2, 7.2, 3.4, 2.8, "U11 to U14\nDAC2904\n(3.3 V)", 12)
    box(d, 18.2, 3.6, 3.4, 3.2, "U106 to U806\nADC12020\n(5 V, outputs\n3.3 V)", 12)
    box(d, 11.8, 0.0, 2.6, 3.0, "U4\nISO7740", 12)
    for y, name, far in ((2.6, "switch_clock", "SRCLK"), (1.9, "switch_data", "SER of U9001"), (1.2, "switch_latch", "RCLK"), (0.5, "discharge", "SEL of U51, U52")):
        arrow(d, (9.4, y), (11.8, y), label=name, at=(10.6, y + 0.3))
        arrow(d, (14.4, y), (18.2, y), label=far)
    box(d, 18.2, 0.0, 3.4, 3.0, "chain of\nSN74LV595A,\nswitches\n(± 2.5 V)", 12)


def power(d, p):
    """Supplies."""
    title(d, 0, 9.0, p, "Power tree")
    box(d, 0, 4.0, 2.2, 1.2, "12 V in")
    box(d, 4.0, 3.8, 3.0, 1.6, "U81\nTPS54202")
    arrow(d, (2.2, 4.6), (4.0, 4.6))
    wire(d, (7.0, 4.6), (9.0, 4.6), label="5 V")
    # The ADCs' own.
    dot(d, (3.1, 4.6))
    wire(d, (3.1, 4.6), (3.1, 2.6))
    arrow(d, (3.1, 2.6), (4.0, 2.6))
    box(d, 4.0, 1.8, 3.0, 1.6, "U91\nTPS54202")
    wire(d, (7.0, 2.6), (8.0, 2.6), (8.0, 3.5), (8.85, 3.5), label="6 V", at=(7.5, 2.9))
    arrow(d, (9.15, 3.5), (10.4, 3.5))
    wire(d, (8.85, 3.5), (9.15, 3.5))
    box(d, 10.4, 3.0, 4.4, 1.0, "U87 TPS7A4700")
    arrow(d, (14.8, 3.5), (18.2, 3.5), label="5 V analog")
    text(d, 18.4, 3.5, "ADCs, converter drivers; R91, U41: 2.0 V reference", 11, "left")
    rows = (
        (7.9, "U82 TLV62569", "1.1 V", "FPGA core"),
        (6.5, "U83, U84 TLV755xxP", "3.3, 2.5 V", "FPGA pins and auxiliary, flash, oscillator, ADC outputs"),
        (5.1, "U86 TPS7A4700", "3.3 V analog", "DACs"),
    )
    wire(d, (9.0, 7.9), (9.0, 1.6))
    dot(d, (9.0, 4.6))
    for y, part, volts, load in rows:
        arrow(d, (9.0, y), (10.4, y))
        box(d, 10.4, y - 0.5, 4.4, 1.0, part)
        arrow(d, (14.8, y), (18.2, y), label=volts)
        text(d, 18.4, y, load, 11, "left")
    arrow(d, (9.0, 1.6), (10.4, 1.6))
    box(d, 10.4, 1.1, 4.4, 1.0, "U88 TPS65131")
    wire(d, (14.8, 1.6), (17.0, 1.6), label="± 9 V")
    arrow(d, (17.0, 1.6), (18.2, 1.6))
    box(d, 18.2, 1.1, 3.4, 1.0, "U89 TPS7A39")
    wire(d, (21.6, 1.6), (24.4, 1.6), label="± 7.5 V")
    arrow(d, (24.4, 1.6), (25.4, 1.6))
    text(d, 25.6, 1.6, "drive amplifiers, buffers", 11, "left")
    dot(d, (24.4, 1.6))
    wire(d, (24.4, 1.6), (24.4, 0.2), (16.6, 0.2), (16.6, -0.8))
    arrow(d, (16.6, -0.8), (18.2, -0.8))
    box(d, 18.2, -1.3, 3.4, 1.0, "U90 TPS7A39")
    arrow(d, (21.6, -0.8), (25.4, -0.8), label="± 2.5 V")
    text(d, 25.6, -0.8, "switches, chain", 11, "left")


SHEETS = {"cell": cell, "coupling": coupling, "board": board, "interfaces": interfaces, "power": power}


def main():
    profile = tomllib.loads(Path(sys.argv[1]).read_text())
    if profile["banks"]["coupling_signed"]:
        sys.exit("differential boards (couplings with a sign) are not drawn: take rev-a")
    if any(value(profile, "banks", f"{bank}_bits") != 4 for bank in ("self", "coupling")):
        sys.exit("banks of other than four bits are not drawn: take rev-a")
    folder = Path(sys.argv[2])
    for name, draw in SHEETS.items():
        d = schemdraw.Drawing(show=False)
        d.config(unit=2, fontsize=11)
        draw(d, profile)
        figure = d.draw(show=False).getfig()
        for ending, metadata in (("svg", {"Date": None}), ("pdf", {"CreationDate": None})):
            figure.savefig(folder / f"{name}.{ending}", bbox_inches="tight", metadata=metadata)


if __name__ == "__main__":
    main()
