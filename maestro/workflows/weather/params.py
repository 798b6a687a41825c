"""The 50 parameters of the default forecast: what each is, where its real values come from, how it evolves.

A table and nothing else. `low` and `high` bound what the atmosphere can hold and clip what the evolution makes; ranges of real
fields are much narrower (the tests look at those).
"""

from __future__ import annotations

from typing import NamedTuple

#: How a base field changes with step and member (see fields.Evolution).
DRIFT = "drift"  # carried along by the flow, plus a smooth wave of height `amount`
GROW = "grow"  # carried along, times 1 + a smooth wave of height `amount`
STAY = "stay"  # bound to land and sea: in place, plus a smooth wave
SCALE = "scale"  # in place, times 1 + a smooth wave
SUM = "sum"  # accumulated since the start: in place, grows with the step
FIXED = "fixed"  # never changes


class Param(NamedTuple):
    id: int
    name: str
    title: str
    unit: str
    low: float
    high: float
    evolve: str
    amount: float
    source: str = ""  # shortName in the analysed samples, or the recipe's name
    factor: float = 1.0  # from the sample's unit to ours


G = 9.80665

UPPER = {
    p.name: p
    for p in (
        Param(129, "z", "Geopotential", "m**2 s**-2", -6000, 330000, DRIFT, 150, "gh", G),
        Param(130, "t", "Temperature", "K", 170, 335, DRIFT, 1.5, "t"),
        Param(131, "u", "U component of wind", "m s**-1", -130, 150, DRIFT, 2, "u"),
        Param(132, "v", "V component of wind", "m s**-1", -130, 130, DRIFT, 2, "v"),
        Param(133, "q", "Specific humidity", "kg kg**-1", 0, 0.04, GROW, 0.1, "humidity"),
        Param(157, "r", "Relative humidity", "%", 0, 110, GROW, 0.1, "r"),
        Param(135, "w", "Vertical velocity", "Pa s**-1", -12, 12, GROW, 0.2, "w"),
        Param(138, "vo", "Vorticity (relative)", "s**-1", -3e-3, 3e-3, GROW, 0.15, "vorticity"),
        Param(155, "d", "Divergence", "s**-1", -3e-3, 3e-3, GROW, 0.15, "divergence"),
        Param(246, "clwc", "Specific cloud liquid water content", "kg kg**-1", 0, 8e-3, GROW, 0.2, "liquid"),
        Param(247, "ciwc", "Specific cloud ice water content", "kg kg**-1", 0, 8e-3, GROW, 0.2, "ice"),
        Param(248, "cc", "Fraction of cloud cover", "(0 - 1)", 0, 1, GROW, 0.1, "cover"),
        Param(3, "pt", "Potential temperature", "K", 200, 900, DRIFT, 1.5, "potential"),
    )
}

SURFACE = {
    p.name: p
    for p in (
        Param(165, "10u", "10 metre U wind component", "m s**-1", -60, 60, DRIFT, 1, "10u"),
        Param(166, "10v", "10 metre V wind component", "m s**-1", -60, 60, DRIFT, 1, "10v"),
        Param(49, "10fg", "10 metre wind gust", "m s**-1", 0, 90, GROW, 0.15, "gust"),
        Param(151, "msl", "Mean sea level pressure", "Pa", 87000, 109000, DRIFT, 150, "msl"),
        Param(134, "sp", "Surface pressure", "Pa", 45000, 109000, STAY, 150, "sp"),
        Param(167, "2t", "2 metre temperature", "K", 180, 335, STAY, 1.5, "2t"),
        Param(168, "2d", "2 metre dewpoint temperature", "K", 170, 315, STAY, 1.2, "2d"),
        Param(121, "mx2t6", "Maximum temperature at 2 metres in the last 6 hours", "K", 180, 335, STAY, 1.5, "mx2t6"),
        Param(122, "mn2t6", "Minimum temperature at 2 metres in the last 6 hours", "K", 180, 335, STAY, 1.5, "mn2t6"),
        Param(235, "skt", "Skin temperature", "K", 170, 350, STAY, 1.5, "skt"),
        Param(31, "ci", "Sea ice area fraction", "(0 - 1)", 0, 1, SCALE, 0.05, "ci"),
        Param(141, "sd", "Snow depth", "m of water equivalent", 0, 20, SCALE, 0.05, "sd", 1e-3),
        Param(144, "sf", "Snowfall", "m of water equivalent", 0, 2, SUM, 0.2, "sf", 1e-3),
        Param(228, "tp", "Total precipitation", "m", 0, 3, SUM, 0.2, "tp", 1e-3),
        Param(143, "cp", "Convective precipitation", "m", 0, 3, SUM, 0.2, "acpcp", 20e-3),
        Param(164, "tcc", "Total cloud cover", "(0 - 1)", 0, 1, GROW, 0.1, "tcc", 0.01),
        Param(186, "lcc", "Low cloud cover", "(0 - 1)", 0, 1, GROW, 0.1, "tcc/lowCloudLayer", 0.01),
        Param(187, "mcc", "Medium cloud cover", "(0 - 1)", 0, 1, GROW, 0.1, "tcc/middleCloudLayer", 0.01),
        Param(188, "hcc", "High cloud cover", "(0 - 1)", 0, 1, GROW, 0.1, "tcc/highCloudLayer", 0.01),
        Param(136, "tcw", "Total column water", "kg m**-2", 0, 110, GROW, 0.05, "tcw"),
        Param(137, "tcwv", "Total column water vapour", "kg m**-2", 0, 110, GROW, 0.05, "pwat"),
        Param(59, "cape", "Convective available potential energy", "J kg**-1", 0, 12000, GROW, 0.2, "cape"),
        Param(176, "ssr", "Surface net short-wave radiation", "J m**-2", 0, 6e8, SUM, 0.05, "ssr"),
        Param(177, "str", "Surface net long-wave radiation", "J m**-2", -3e8, 1e8, SUM, 0.05, "str"),
        Param(179, "ttr", "Top net long-wave radiation", "J m**-2", -6e8, 0, SUM, 0.05, "ttr"),
        Param(146, "sshf", "Surface sensible heat flux", "J m**-2", -4e8, 3e8, SUM, 0.05, "sshf"),
        Param(147, "slhf", "Surface latent heat flux", "J m**-2", -6e8, 2e8, SUM, 0.05, "slhf"),
        Param(189, "sund", "Sunshine duration", "s", 0, 1e6, SUM, 0.02, "sund"),
        Param(172, "lsm", "Land-sea mask", "(0 - 1)", 0, 1, FIXED, 0, "lsm"),
        Param(129, "z", "Geopotential", "m**2 s**-2", -6000, 90000, FIXED, 0, "orog", G),
    )
}


def lookup(levtype: str, name: str) -> Param:
    """The parameter `name` of a level type; KeyError names the nearest known one."""
    table = SURFACE if levtype == "sfc" else UPPER
    if name in table:
        return table[name]
    import difflib

    near = difflib.get_close_matches(name, table, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else f"; known are {', '.join(table)}"
    raise KeyError(f"param '{name}' of levtype {levtype} has no analysed base field{hint}")
