"""Small pandapower documents, as its `to_json` writes them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

Rows = Sequence[Mapping[str, Any]]

LINE = {
    "name": "w1",
    "from_bus": 1,
    "to_bus": 2,
    "length_km": 0.2,
    "r_ohm_per_km": 0.2,
    "x_ohm_per_km": 0.08,
    "max_i_ka": 0.27,
    "in_service": True,
}
TRAFO = {
    "name": "t",
    "hv_bus": 0,
    "lv_bus": 1,
    "sn_mva": 0.4,
    "vn_hv_kv": 20.0,
    "vn_lv_kv": 0.4,
    "vk_percent": 4.0,
    "vkr_percent": 1.2,
    "shift_degree": 150.0,
    "in_service": True,
}
SMALL: Mapping[str, Rows] = {
    "bus": [
        {"name": name, "vn_kv": kv, "in_service": True}
        for name, kv in (("mv", 20.0), ("lv", 0.4), ("far", 0.4))
    ],
    "ext_grid": [{"bus": 0, "vm_pu": 1.0, "in_service": True}],
    "trafo": [TRAFO],
    "line": [LINE],
    "asymmetric_load": [
        {"name": "house", "bus": 2, "p_a_mw": 0.004, "q_a_mvar": 0.001, "type": "wye", "in_service": True}
    ],
}


def document(**tables: Rows) -> str:
    """Return the small network's file, some of its tables replaced."""
    content = {name: _frame(rows) for name, rows in {**SMALL, **tables}.items()}
    return json.dumps({"_module": "pandapower.auxiliary", "_class": "pandapowerNet", "_object": content})


def _frame(rows: Rows) -> dict[str, Any]:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    data = [[row.get(name) for name in columns] for row in rows]
    frame = {"columns": columns, "index": list(range(len(rows))), "data": data}
    return {
        "_module": "pandas.core.frame",
        "_class": "DataFrame",
        "_object": json.dumps(frame),
        "orient": "split",
    }
