"""Fits one model with one Python package and prints seconds, criterion and peak memory as JSON; see mixed.py."""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import pandas as pd


def ours(task: dict[str, Any], data: pd.DataFrame) -> Callable[[], float]:
    import alliance_stats as al

    model = al.MixedModel(task["formula"])
    if task["refits"]:
        responses = data.filter(regex=r"^y\d+$").to_numpy()
        result = model.fit(data)
        return lambda: float(al.refit(result, responses)["criterion"].iloc[0])
    return lambda: float(model.fit(data).glance()["criterion"].iloc[0])


def mixedlm(task: dict[str, Any], data: pd.DataFrame) -> Callable[[], float]:
    import mixedlm as package

    data = data.astype(dict.fromkeys(task["groups"], str))

    def fit() -> float:
        result = package.lmer(task["formula"], data)
        package.satterthwaite_df(result)
        return float(result.REMLcrit() if callable(result.REMLcrit) else result.REMLcrit)

    return fit


def statsmodels(task: dict[str, Any], data: pd.DataFrame) -> Callable[[], float]:
    import statsmodels.formula.api as smf

    def fit() -> float:
        model = smf.mixedlm("y ~ within + between + time + arm", data, groups="patient", re_formula="~time")
        return float(-2 * model.fit().llf)

    return fit


def main() -> None:
    who, task = sys.argv[1], json.loads(sys.argv[2])
    warnings.simplefilter("ignore")  # the peers warn of singular and of slowly converging fits
    fit = {"ours": ours, "mixedlm": mixedlm, "statsmodels": statsmodels}[who](task, pd.read_csv(task["file"]))
    criterion, times = fit(), []
    for _ in range(task["repeats"]):
        start = time.perf_counter()
        criterion = fit()
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": min(times), "criterion": criterion, "megabytes": peak}))


if __name__ == "__main__":
    main()
