"""From a run to a page: what was asked, how, of whom, what was found, and what it rests on."""

from alliance_stats.report.figures import write_figures
from alliance_stats.report.index import write_index
from alliance_stats.report.write import write_report

__all__ = ["write_figures", "write_index", "write_report"]
