"""Optima of random mixed-model designs against those of mixedlm: how much lower is theirs?

    python validation/mixedlm_designs.py

mixedlm_designs.csv   a row a design: its seed, number of variance parameters, REML or ML, and our criterion minus theirs
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "numerics"))

from mixed_designs import any_design  # noqa: E402
from test_mixed_optimum import compared, parameters  # noqa: E402

FEW, MANY = 320, 80  # designs of up to 4 parameters, and of more


def main() -> None:
    rows, wanted = [], {False: FEW, True: MANY}
    for seed in range(3000):
        rng = np.random.default_rng(seed)
        design, reml = any_design(rng), bool(rng.integers(2))
        k = parameters(design)
        if wanted[k > 4]:
            wanted[k > 4] -= 1
            rows.append(
                (seed, k, len(design.levels), len(design.y), "REML" if reml else "ML", compared(design, reml=reml))
            )
        if not any(wanted.values()):
            break
    table = pd.DataFrame(rows, columns=["seed", "parameters", "factors", "rows", "method", "ours_minus_theirs"])
    table.to_csv(HERE / "mixedlm_designs.csv", index=False, float_format="%.3g")


if __name__ == "__main__":
    main()
